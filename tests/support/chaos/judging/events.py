"""Judges the events topic (I2, I3, I5): complete, in order, one id for each change, nothing after a deletion."""

from collections import defaultdict
from collections.abc import Iterator

from tests.support.chaos.history import Event, History, Violation
from triptych.kit.kafka.partitions import partition_of


def firsts(events: list[Event]) -> dict[str, list[Event]]:
    """By gallery, the first appearances of its events as they are on the topic: repeats are left out."""
    found: dict[str, list[Event]] = defaultdict(list)
    repeats = set(repeated(events))
    for index, event in enumerate(events):
        if index not in repeats:
            found[event.gallery].append(event)
    return found


def repeated(events: list[Event]) -> list[int]:
    """The indexes of records that repeat an earlier one."""
    seen: set[tuple[str, int, str]] = set()
    found = []
    for index, event in enumerate(events):
        identity = (event.gallery, event.sequence, event.id)
        if identity in seen:
            found.append(index)
        seen.add(identity)
    return found


def check(history: History) -> Iterator[Violation]:
    """Violations of I2, I3 and I5 on the events topic."""
    yield from _places(history)
    yield from _contents(history.events)
    for gallery, events in firsts(history.events).items():
        yield from _numbers(gallery, events, history.sequences.get(gallery))
        yield from _lives(gallery, sorted(events, key=lambda event: event.sequence))
    for gallery, sequence in history.sequences.items():
        if sequence and not any(event.gallery == gallery for event in history.events):
            yield Violation("I2", "changes without any event:", gallery, sequence)


def _places(history: History) -> Iterator[Violation]:
    for event in history.events:
        expected = partition_of(event.gallery.encode(), history.partitions)
        if event.key != event.gallery or event.partition != expected:
            what = f"an event under the key {event.key}, of partition {expected}:"
            yield Violation("I3", what, event.gallery, event.sequence, (event.place,))


def _contents(events: list[Event]) -> Iterator[Violation]:
    by_id: dict[str, Event] = {}
    for event in events:
        first = by_id.setdefault(event.id, event)
        if first.value != event.value:
            what, places = f"the event {event.id} came with different content:", (first.place, event.place)
            yield Violation("I2", what, event.gallery, event.sequence, places)


def _numbers(gallery: str, events: list[Event], committed: int | None) -> Iterator[Violation]:
    by_sequence: dict[int, Event] = {}
    highest: Event | None = None
    for event in events:
        other = by_sequence.setdefault(event.sequence, event)
        if other is not event:
            places = (other.place, event.place)
            yield Violation("I2", f"two ids, {other.id} and {event.id}:", gallery, event.sequence, places)
        elif highest is not None and event.sequence < highest.sequence:
            places = (highest.place, event.place)
            yield Violation("I3", "first appeared after a later event:", gallery, event.sequence, places)
        if highest is None or event.sequence > highest.sequence:
            highest = event
    last = max(committed or 0, max(by_sequence))
    for sequence in range(1, last + 1):
        if sequence not in by_sequence:
            near = by_sequence.get(sequence - 1)
            yield Violation("I2", "no event:", gallery, sequence, (f"after {near.place}",) if near else ())
    if committed is not None and max(by_sequence) > committed:
        found = by_sequence[max(by_sequence)]
        yield Violation(
            "I2", f"{committed} changes are committed, but there is", gallery, found.sequence, (found.place,)
        )


def _lives(gallery: str, events: list[Event]) -> Iterator[Violation]:
    """Nothing happens to what was deleted, or was never created (I5)."""
    deleted: Event | None = None
    gone: dict[str, Event] = {}
    alive: set[str] = set()
    for event in events:
        if deleted is not None:
            yield Violation(
                "I5", "an event of a deleted gallery:", gallery, event.sequence, (deleted.place, event.place)
            )
        body = event.value.get("actionEvent", {}).get("body", {})
        item = str(body.get("itemId") or (body.get("item") or body.get("updatedItem") or {}).get("id", ""))
        if "deletedEvent" in event.value:
            deleted = event
        elif item in gone:
            what, places = f"the deleted item {item} came back:", (gone[item].place, event.place)
            yield Violation("I5", what, gallery, event.sequence, places)
        elif "item" in body:
            if item in alive:
                yield Violation("I2", f"the item {item} is created again:", gallery, event.sequence, (event.place,))
            alive.add(item)
        elif item and item not in alive:
            yield Violation("I2", f"the item {item} was never created:", gallery, event.sequence, (event.place,))
        if "itemId" in body:
            gone[item] = event
