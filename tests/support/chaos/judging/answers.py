"""Judges commands by their answers and events (I1): none is lost, done twice, or answered in two ways."""

from collections import defaultdict
from collections.abc import Iterator

from tests.support.chaos.history import Answer, Command, Event, History, Violation

CREATED = "gallery_v2_gallery_item_created"
ALWAYS_CHANGES = frozenset({"CreateGallery", "CreateItems", "DeleteGallery", "UpdateGallery"})
"""Commands that yield an event whenever they are accepted."""


def check(history: History) -> Iterator[Violation]:
    """Violations of I1."""
    answers: dict[str, list[Answer]] = defaultdict(list)
    for answer in history.answers:
        answers[answer.command].append(answer)
    # Repeats do not count: what a command has done is the set of its events.
    caused: dict[str, dict[str, Event]] = defaultdict(dict)
    last: dict[str, int] = defaultdict(int)
    for event in history.events:
        caused[event.cause].setdefault(event.id, event)
        last[event.gallery] = max(last[event.gallery], event.sequence)
    for command in history.commands:
        found = answers.get(command.id, [])
        events = list(caused.get(command.id, {}).values())
        if command.is_acknowledged and not found:
            yield Violation(
                "I1", f"{command.name} {command.id} was acknowledged and has no answer", command.gallery or ""
            )
        yield from _differences(command, found)
        for answer in found[:1]:
            yield from _effects(command, answer, events, last)
    known = {command.id: command.gallery for command in history.commands}
    for cause, events_of in caused.items():
        for event in events_of.values():
            # A request that never got an answer names no gallery.
            if cause not in known or (known[cause] or event.gallery) != event.gallery:
                what = f"an event of the command {cause}, which nobody sent for it:"
                yield Violation("I1", what, event.gallery, event.sequence, (event.place,))
                break
    for command_id in answers.keys() - known.keys():
        places = tuple(answer.place for answer in answers[command_id])
        yield Violation("I1", f"an answer to the command {command_id}, which nobody sent", records=places)


def _differences(command: Command, answers: list[Answer]) -> Iterator[Violation]:
    """Two answers of one kind are the same; an answer of HTTP agrees with the reply in what both have."""
    first: dict[str, Answer] = {}
    for answer in answers:
        status = (answer.content.get("error") or {}).get("status") or 0
        if answer.via == "http" and status >= 500:
            what = f"{command.name} {command.id} was answered with {status}, which does not say what became of it:"
            yield Violation("I1", what, command.gallery or "", records=(answer.place,))
        other = first.setdefault(answer.via, answer)
        if other.content != answer.content:
            yield Violation(
                "I1",
                f"{command.name} {command.id} was answered with different content",
                command.gallery or "",
                records=(other.place, answer.place),
            )
    if len(first) == 2:
        reply, shown = first["topic"].content, first["http"].content
        for name in ("outcome", "galleryId", "itemIds"):
            if reply.get(name) is not None and shown.get(name) is not None and reply[name] != shown[name]:
                yield Violation(
                    "I1",
                    f"{command.name} {command.id}: HTTP and the reply differ in {name}",
                    command.gallery or "",
                    records=(first["topic"].place, first["http"].place),
                )


def _effects(command: Command, answer: Answer, events: list[Event], last: dict[str, int]) -> Iterator[Violation]:
    content = answer.content
    gallery = content.get("galleryId") or command.gallery or ""
    if content["outcome"] == "rejected":
        # Long-running work that was given up keeps the steps that were done.
        if events and (content.get("error") or {}).get("code") != "INTERNAL":
            places = tuple(event.place for event in events)
            yield Violation("I1", f"{command.name} {command.id} was rejected and has events", gallery, records=places)
        return
    sequence = content.get("sequence")
    if sequence is not None and last.get(gallery, 0) < sequence:
        yield Violation(
            "I1", f"{command.name} {command.id} was accepted, its last event is missing", gallery, sequence,
            (answer.place,),
        )  # fmt: skip
    if command.name in ALWAYS_CHANGES and not events:
        yield Violation(
            "I1", f"{command.name} {command.id} was accepted and has no event", gallery, sequence, (answer.place,)
        )
    if command.items is not None:
        created = [event for event in events if event.type.endswith(CREATED)]
        if len(created) != command.items:
            yield Violation(
                "I1",
                f"{command.name} {command.id} creates {command.items} items, but {len(created)} were created",
                gallery,
                sequence,
                (answer.place, *(event.place for event in created)),
            )
