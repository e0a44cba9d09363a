"""A consumer of the events topic that follows docs/consumers.md: after a loss it waits for a whole snapshot."""

from dataclasses import dataclass, field
from typing import Any

from tests.support.kafka import Record
from triptych.client import SnapshotAssembler
from triptych.contract.codec.events import EventType, decode_event
from triptych.contract.snapshots import is_snapshot


@dataclass
class _Copy:
    sequence: int = 0
    head: dict[str, Any] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_lost: bool = False
    is_deleted: bool = False


class EventReader:
    """Galleries by id, from events alone; snapshots are used only after a loss."""

    def __init__(self) -> None:
        self._copies: dict[str, _Copy] = {}
        self._snapshots = SnapshotAssembler()
        self.losses = 0

    def feed(self, record: Record) -> None:
        """Process a record of the topic."""
        copy = self._copies.setdefault(record.key.decode(), _Copy())
        if is_snapshot(dict(record.headers)["ce_type"].decode()):
            snapshot = self._snapshots.feed(record.value)
            if snapshot is not None and copy.is_lost and snapshot.sequence >= copy.sequence:
                items = {item["id"]: item for item in snapshot.gallery["items"]}
                self._copies[record.key.decode()] = _Copy(snapshot.sequence, snapshot.gallery, items)
            return
        event = decode_event(record.value)
        if event.sequence <= copy.sequence or copy.is_deleted:
            return
        if event.event_type is EventType.GALLERY_DELETED:
            copy.is_deleted = True
        elif event.sequence > copy.sequence + 1 or copy.is_lost:
            self.losses += not copy.is_lost
            copy.is_lost = True
            return
        copy.sequence = event.sequence
        if event.event_type in (EventType.GALLERY_CREATED, EventType.GALLERY_UPDATED):
            copy.head = event.body
        elif event.event_type is EventType.ITEM_DELETED:
            copy.items.pop(event.item_id or "")
        elif event.item_id is not None:
            copy.items[event.item_id] = event.body

    def get(self, gallery_id: str) -> dict[str, Any] | None:
        """A gallery with its items in display order; None if there is none, or events of it are missing."""
        copy = self._copies.get(gallery_id)
        if copy is None or copy.is_deleted or copy.is_lost:
            return None
        items = sorted(copy.items.values(), key=lambda item: -float(item["sortOrder"]))
        return {**copy.head, "totalItems": len(items), "items": items}
