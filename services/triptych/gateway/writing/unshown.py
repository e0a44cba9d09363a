"""Reads what a write has made from the write model, for responses that the read model cannot give yet."""

from typing import Any, NamedTuple

from triptych.gateway.writing.read_your_writes import Position
from triptych.kit.mongo.driver import Database, Document
from triptych.readmodel.documents import gallery_wire, item_wire
from triptych.readmodel.weighing import ROOM, Room, read_items
from triptych.writemodel.galleries import GALLERIES, ITEMS, is_live


class UnshownGallery(NamedTuple):
    """A gallery of the write model without items, some of its items, and whether others did not fit."""

    gallery: dict[str, Any]
    items: list[dict[str, Any]]
    is_cut: bool

    def to_wire(self) -> dict[str, Any]:
        """The wire form of the gallery (contract, section 3.1)."""
        return {**self.gallery, "items": self.items}


class UnshownWrites:
    """Queries of the write model for one gallery at a time. All of them raise the driver's errors.

    Only a write whose command was accepted asks, and only after the read model did not show it in time. So the command
    service's database gets no reads as long as the read model keeps up. The documents of items have the same fields as
    in the views.
    """

    def __init__(self, database: Database) -> None:
        self._galleries = database[GALLERIES]
        self._items = database[ITEMS]

    async def get_gallery(
        self, site_id: str, position: Position, item_limit: int, room: Room = ROOM
    ) -> UnshownGallery | None:
        """A gallery at this position or a later one, with its first items; None if clients do not see it."""
        head = await self._head(site_id, position)
        if head is None:
            return None
        if head["name"] is None:
            del head["name"]
        query = {"siteId": site_id, "galleryId": position.gallery_id}
        items, next_cursor = await read_items(self._items, query, item_limit, 0, room)
        return UnshownGallery(gallery_wire(head), items, next_cursor is not None)

    async def get_item(self, site_id: str, position: Position, item_id: str) -> dict[str, Any] | None:
        """An item of a gallery at this position or a later one; None if clients do not see it."""
        if await self._head(site_id, position) is None:
            return None
        found = await self._items.find_one({"_id": item_id, "galleryId": position.gallery_id, "siteId": site_id})
        return None if found is None else item_wire(found)

    async def has_gallery(self, site_id: str, gallery_id: str) -> bool:
        """Whether clients see this gallery, or will as soon as the read model does."""
        return await self._head(site_id, Position(gallery_id, 0)) is not None

    async def _head(self, site_id: str, position: Position) -> Document | None:
        found = await self._galleries.find_one({"_id": position.gallery_id, "siteId": site_id})
        if found is None or not is_live(found) or found["sequence"] < position.sequence:
            return None
        return found
