"""Histories of galleries, as the command service would publish them."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from triptych.contract import snapshots
from triptych.contract.base import format_instant
from triptych.contract.codec import events
from triptych.contract.codec.envelope import Message, encode_event, encode_snapshot
from triptych.contract.codec.events import Event, decode_event

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class History:
    """One gallery's events, numbered without gaps; each method adds the events of the change of that name."""

    def __init__(
        self, gallery_id: str | None = None, *, site_id: str = "default", created_at: datetime = EPOCH
    ) -> None:
        self.gallery_id = gallery_id or str(uuid.uuid4())
        self.site_id = site_id
        self.created_at = created_at
        self.items: dict[str, dict[str, Any]] = {}
        self.exists = False
        self.wire: list[dict[str, Any]] = []
        self.states: dict[int, dict[str, Any]] = {}
        """The gallery with all its items after each of its events, by sequence."""
        self._gallery: dict[str, Any] = {}

    @property
    def events(self) -> list[Event]:
        """The events as consumers read them."""
        return [decode_event(message.value) for message in self.messages]

    @property
    def messages(self) -> list[Message]:
        """The records to publish."""
        return [
            encode_event(wire, site_id=self.site_id, correlation_id="c", causation_id="c", traceparent=None)
            for wire in self.wire
        ]

    def create(self, name: str = "N", sort_order: float = 1.5, *, first_items: int = 0) -> "History":
        """Create an empty gallery, whose event announces the `first_items` that are added next."""
        self._gallery = {
            "id": self.gallery_id,
            "name": name,
            "sortOrder": sort_order,
            "createdDate": format_instant(self.created_at),
        }
        self.exists = True
        return self._add(events.gallery_created, {**self._gallery_wire(), "totalItems": first_items})

    def rename(self, name: str) -> "History":
        """Change the gallery's name."""
        self._gallery["name"] = name
        return self._add(events.gallery_updated, self._gallery_wire())

    def add_item(self, sort_order: float, item_id: str | None = None, **fields: Any) -> str:
        """Create a text item, unless `fields` say otherwise; returns its id."""
        item_id = item_id or str(uuid.uuid4())
        item = {"id": item_id, "sortOrder": sort_order, "type": "TEXT", "text": {"html": "h"}, **fields}
        self.items[item_id] = {**item, "createdDate": format_instant(EPOCH), "updatedDate": format_instant(EPOCH)}
        self._add(events.item_created, self.items[item_id])
        return item_id

    def update_item(self, item_id: str, **fields: Any) -> "History":
        """Change fields of an item."""
        self.items[item_id] = {**self.items[item_id], **fields}
        return self._add(events.item_updated, self.items[item_id])

    def delete_item(self, item_id: str, originated_from: str = "") -> "History":
        """Delete an item."""
        del self.items[item_id]
        return self._add(events.item_deleted, item_id, originated_from)

    def delete(self) -> "History":
        """Delete the items, then the gallery."""
        for item_id in list(self.items):
            self.delete_item(item_id, events.GALLERY_DELETED_ORIGIN)
        self.exists = False
        return self._add(events.gallery_deleted)

    def snapshot(self, snapshot_id: str = "s") -> list[Message]:
        """The records of a snapshot of the current state."""
        sequence = len(self.wire)
        records = [
            snapshots.snapshot_started(snapshot_id, self.gallery_id, sequence, self._gallery_wire()),
            *(
                snapshots.snapshot_item(snapshot_id, self.gallery_id, sequence, position, item)
                for position, item in enumerate(self.shown_items())
            ),
            snapshots.snapshot_ended(snapshot_id, self.gallery_id, sequence, len(self.items)),
        ]
        return [
            encode_snapshot(record, site_id=self.site_id, correlation_id="c", causation_id="c", traceparent=None)
            for record in records
        ]

    def shown_items(self) -> list[dict[str, Any]]:
        """The items in display order (D3)."""
        return sorted(self.items.values(), key=lambda item: -float(item["sortOrder"]))

    def head(self) -> dict[str, Any]:
        """The gallery in wire form, without its items."""
        return {**self._gallery, "totalItems": len(self.items)}

    def _gallery_wire(self) -> dict[str, Any]:
        return {**self._gallery, "totalItems": len(self.items), "items": []}

    def _add(self, build: Any, *content: Any) -> "History":
        sequence = len(self.wire) + 1
        event_id = str(uuid.uuid5(uuid.UUID(self.gallery_id), str(sequence)))
        self.wire.append(build(event_id, self.gallery_id, sequence, EPOCH + timedelta(seconds=sequence), *content))
        self.states[sequence] = {**self.head(), "items": self.shown_items()}
        return self
