"""Judges the history and what was restored from it: both agree with the events, at each moment that they can show."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.chaos.history import Event, Violation
from tests.support.chaos.judging.events import firsts
from tests.support.chaos.judging.state import Folded, folded
from tests.support.command_mix import Sent
from tests.support.simulation.mongo.server import Server
from triptych.history.documents import HISTORY_EVENTS, HISTORY_GALLERIES, reach_of
from triptych.history.queries import _content

MOMENTS = 6
"""The most moments of a gallery that are compared."""
HEAD_FIELDS = ("id", "name", "sortOrder", "createdDate")
NOT_RESTORED = frozenset({"id", "createdDate", "updatedDate"})
"""Fields of items that may differ after a restore: what was deleted comes back as a new item."""
WAITING = (HISTORY_GALLERIES, {"wanted": {"$gt": 0}})
"""Galleries whose history waits for a snapshot."""


def check_history(server: Server, events: list[Event]) -> Iterator[Violation]:
    """Each gallery is in the history as it was, from the first sequence on from which its history is complete."""
    storage = server.storage
    for gallery, some in firsts(events).items():
        by_sequence = sorted(some, key=lambda event: event.sequence)
        last = by_sequence[-1].sequence
        found = [document for _, document in storage.find(HISTORY_GALLERIES, {"_id": gallery})]
        if not found:
            yield Violation("history", "has nothing of a gallery:", gallery, last)
            continue
        reach = reach_of(found[0])
        if reach.sequence != last and reach.deleted_at is None:
            yield Violation("history", f"reaches {reach.sequence}, not the last event:", gallery, last)
        if reach.complete_from is None:
            continue
        rows = [row for _, row in storage.find(HISTORY_EVENTS, {"galleryId": gallery})]
        sequences = range(max(1, reach.complete_from), reach.sequence + 1)
        for sequence in {*sequences[:: max(1, len(sequences) // MOMENTS)], *sequences[-1:]}:
            expected = folded([event for event in by_sequence if event.sequence <= sequence])
            if not expected.is_deleted and (what := _difference(rows, sequence, expected)):
                yield Violation("history", what, gallery, sequence)


def _difference(rows: Sequence[Mapping[str, Any]], sequence: int, expected: Folded) -> str | None:
    shown = {
        row["itemId"]: _content(row)
        for row in rows
        if row["sequence"] <= sequence < row["until"] and not row["type"].endswith("deleted")
    }
    head = shown.pop(None, {})
    if any(head.get(name) != expected.head.get(name) for name in HEAD_FIELDS):
        return f"shows the gallery {head} instead of {expected.head}:"
    if shown != expected.items:
        return f"shows the items {sorted(shown)} instead of {sorted(expected.items)}, or other content:"
    return None


def check_restores(sent: list[Sent], replies: Mapping[str, dict[str, Any]], events: list[Event]) -> Iterator[Violation]:
    """A restore that was accepted has brought back the items that the gallery had. `replies` are by command id."""
    by_gallery = firsts(events)
    for command_id, gallery, sequence in {found for one in sent if (found := _restore(one))}:
        reply = replies.get(command_id)
        if reply is None or reply["outcome"] != "accepted":
            continue
        of_gallery = by_gallery.get(gallery, [])
        former = folded([event for event in of_gallery if event.sequence <= sequence])
        after = folded([event for event in of_gallery if event.sequence <= reply["sequence"]])
        if _by_order(former) != _by_order(after) or former.head.get("name") != after.head.get("name"):
            what = f"{command_id} has not restored the state of {sequence}:"
            yield Violation("restore", what, gallery, reply["sequence"])


def _by_order(state: Folded) -> dict[float, dict[str, Any]]:
    return {
        float(item["sortOrder"]): {name: value for name, value in item.items() if name not in NOT_RESTORED}
        for item in state.items.values()
    }


def _restore(sent: Sent) -> tuple[str, str, int] | None:
    try:
        body = json.loads(sent.value)
        is_restore = body["type"].endswith(".RestoreGallery")
        return (sent.command_id, sent.gallery_id, body["data"]["sequence"]) if is_restore else None
    except (ValueError, KeyError, TypeError):
        return None
