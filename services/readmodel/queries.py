"""Reads the views; every query is limited to one site and served by an index."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.kit.mongo import ASCENDING, DESCENDING, Collection, Database, Document, IndexModel
from services.readmodel.documents import GALLERY_VIEWS, ITEM_VIEWS, Gap, gallery_wire, is_shown, item_wire

INDEXES: Mapping[str, list[IndexModel]] = {
    GALLERY_VIEWS: [
        IndexModel([("siteId", ASCENDING), ("createdAt", DESCENDING), ("_id", ASCENDING)]),
        # Empty as long as nothing is missing.
        IndexModel([("gap.received", ASCENDING)], sparse=True),
    ],
    # Without the site, which a gallery id implies: the projector asks for galleries of many sites at once.
    ITEM_VIEWS: [IndexModel([("galleryId", ASCENDING), ("sortOrder", DESCENDING)])],
}

# MongoDB refuses larger numbers; no site and no gallery reaches that far.
_MAX_OFFSET = 2**31 - 1
_SHOWN = {"$gt": datetime(1, 1, 1, tzinfo=UTC)}
_NEWEST_FIRST = [("createdAt", DESCENDING), ("_id", ASCENDING)]
_DISPLAY_ORDER = [("sortOrder", DESCENDING)]


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """A gallery with some of its items, in wire form.

    `gallery` has no `items` of its own (see `to_wire`); `sequence` is that of the last event it contains, and `gap`
    says which events it still waits for. The items are at least as new as that.
    """

    gallery: dict[str, Any]
    items: list[dict[str, Any]]
    sequence: int
    gap: Gap | None

    def to_wire(self) -> dict[str, Any]:
        """The gallery of wire contract 3.1."""
        return {**self.gallery, "items": self.items}


class Views:
    """The queries of the read model. All of them raise the driver's errors when MongoDB is away."""

    def __init__(self, database: Database) -> None:
        self._galleries: Collection = database[GALLERY_VIEWS]
        self._items: Collection = database[ITEM_VIEWS]

    async def get_gallery(
        self, site_id: str, gallery_id: str, item_limit: int, item_offset: int = 0
    ) -> GalleryPage | None:
        """A gallery with `item_limit` (1 or more) of its items; None if the site has no such gallery."""
        head = await self._head(site_id, gallery_id)
        return None if head is None else await self._page(head, item_limit, item_offset)

    async def list_galleries(
        self, site_id: str, limit: int, offset: int, item_limit: int
    ) -> tuple[int, list[GalleryPage]]:
        """How many galleries the site has, and `limit` of them with first items: newest first, then by id (D4)."""
        shown = {"siteId": site_id, "createdAt": _SHOWN}
        heads = self._galleries.find(shown).sort(_NEWEST_FIRST).skip(min(offset, _MAX_OFFSET)).limit(limit)
        total, found = await asyncio.gather(self._galleries.count_documents(shown), heads.to_list(None))
        return total, list(await asyncio.gather(*(self._page(head, item_limit, 0) for head in found)))

    async def list_items(self, site_id: str, gallery_id: str, limit: int, offset: int) -> list[dict[str, Any]] | None:
        """A gallery's items by descending `sortOrder` (D3); None if the site has no such gallery."""
        if await self._head(site_id, gallery_id) is None:
            return None
        return await self._items_of(site_id, gallery_id, limit, offset)

    async def get_item(self, site_id: str, gallery_id: str, item_id: str) -> dict[str, Any] | None:
        """One item; None if there is none, or if it belongs to another gallery or site."""
        found = await self._items.find_one({"_id": item_id, "siteId": site_id, "galleryId": gallery_id})
        return None if found is None else item_wire(found)

    async def sequence_of(self, site_id: str, gallery_id: str) -> int | None:
        """The last sequence that the views contain of a gallery, deleted ones included; None if they know nothing."""
        found = await self._galleries.find_one({"_id": gallery_id, "siteId": site_id}, {"sequence": 1})
        return None if found is None else int(found["sequence"])

    async def _head(self, site_id: str, gallery_id: str) -> Document | None:
        found = await self._galleries.find_one({"_id": gallery_id, "siteId": site_id})
        return found if found is not None and is_shown(found) else None

    async def _page(self, head: Document, item_limit: int, item_offset: int) -> GalleryPage:
        # After the head, so that the items are never older than the sequence that the head tells.
        items = await self._items_of(head["siteId"], head["_id"], item_limit, item_offset)
        return GalleryPage(gallery_wire(head), items, head["sequence"], head.get("gap"))

    async def _items_of(self, site_id: str, gallery_id: str, limit: int, offset: int) -> list[dict[str, Any]]:
        found = self._items.find({"siteId": site_id, "galleryId": gallery_id}).sort(_DISPLAY_ORDER)
        return [
            item_wire(document) for document in await found.skip(min(offset, _MAX_OFFSET)).limit(limit).to_list(None)
        ]
