"""Assembles snapshots from the snapshot records of the events topic, and returns those that are complete."""

from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A gallery with all of its items, in display order, as it was at `sequence`."""

    snapshot_id: str
    sequence: int
    gallery: dict[str, Any]


@dataclass(slots=True)
class _IncompleteSnapshot:
    sequence: int
    gallery: dict[str, Any] | None = None
    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    total_items: int | None = None


class SnapshotAssembler:
    """The incomplete snapshots, in memory.

    Records may be repeated, and repeats may come late (`triptych.contract.snapshots`). An incomplete snapshot is
    dropped when a later one of its gallery is complete.
    """

    def __init__(self) -> None:
        self._incomplete: dict[str, dict[str, _IncompleteSnapshot]] = {}
        self._complete: dict[str, tuple[int, str]] = {}

    def feed(self, value: bytes) -> Snapshot | None:
        """Process a snapshot record; returns the snapshot that it completes, or None."""
        record = orjson.loads(value)
        gallery_id, snapshot_id, sequence = record["galleryId"], record["snapshotId"], record["sequence"]
        last = self._complete.get(gallery_id)
        if last is not None and (sequence < last[0] or snapshot_id == last[1]):
            return None
        snapshot = self._incomplete.setdefault(gallery_id, {}).setdefault(snapshot_id, _IncompleteSnapshot(sequence))
        match record["part"]:
            case "Started":
                snapshot.gallery = record["gallery"]
            case "Item":
                snapshot.items[record["position"]] = record["item"]
            case "Ended":
                snapshot.total_items = record["totalItems"]
        if snapshot.gallery is None or len(snapshot.items) != snapshot.total_items:
            return None
        self._complete[gallery_id] = (sequence, snapshot_id)
        del self._incomplete[gallery_id]
        items = [snapshot.items[position] for position in range(len(snapshot.items))]
        return Snapshot(snapshot_id, sequence, {**snapshot.gallery, "items": items})
