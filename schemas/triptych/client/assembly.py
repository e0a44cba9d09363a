"""Puts snapshots together again: feed it the parts as they come on the events topic, and it tells which are whole."""

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
class _Open:
    sequence: int
    gallery: dict[str, Any] | None = None
    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    total_items: int | None = None


class SnapshotAssembler:
    """Snapshots that are coming in, in memory.

    Parts may come more than once and late (`triptych.contract.snapshots`). One that broke off is forgotten when a later
    one of
    its gallery is whole.
    """

    def __init__(self) -> None:
        self._open: dict[str, dict[str, _Open]] = {}
        self._whole: dict[str, tuple[int, str]] = {}

    def feed(self, value: bytes) -> Snapshot | None:
        """Take a part; the snapshot that it completes, if it does."""
        part = orjson.loads(value)
        gallery_id, snapshot_id, sequence = part["galleryId"], part["snapshotId"], part["sequence"]
        last = self._whole.get(gallery_id)
        if last is not None and (sequence < last[0] or snapshot_id == last[1]):
            return None
        found = self._open.setdefault(gallery_id, {}).setdefault(snapshot_id, _Open(sequence))
        match part["part"]:
            case "Started":
                found.gallery = part["gallery"]
            case "Item":
                found.items[part["position"]] = part["item"]
            case "Ended":
                found.total_items = part["totalItems"]
        if found.gallery is None or len(found.items) != found.total_items:
            return None
        self._whole[gallery_id] = (sequence, snapshot_id)
        del self._open[gallery_id]
        items = [found.items[position] for position in range(len(found.items))]
        return Snapshot(snapshot_id, sequence, {**found.gallery, "items": items})
