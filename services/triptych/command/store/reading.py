"""Reads galleries with their items for exports and imports: whole ones as at one moment, and items by sort order."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from triptych.command.domain.state import GalleryHead
from triptych.command.store.documents import body_of, head_of
from triptych.kit.mongo.driver import DESCENDING, Database, snapshot_session
from triptych.writemodel.galleries import GALLERIES, ITEMS, Status


class GalleryBusy(Exception):
    """Long-running work changes the gallery in steps at the moment, so that it has no state worth reading."""


@dataclass(frozen=True, slots=True)
class WholeGallery:
    """A gallery at one moment; `bodies` are its items in wire form and display order, to be read once."""

    head: GalleryHead
    bodies: AsyncIterator[dict[str, Any]]


class GalleryReader:
    """The galleries of one installation. All methods raise the driver's errors."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._galleries = database[GALLERIES]
        self._items = database[ITEMS]

    @asynccontextmanager
    async def whole(self, gallery_id: str) -> AsyncIterator[WholeGallery | None]:
        """A gallery with its items; None if clients do not see it.

        MongoDB keeps the moment for five minutes (`minSnapshotHistoryWindowInSeconds`).

        Raises:
            GalleryBusy: long-running work changes the gallery.
        """
        async with snapshot_session(self._database) as session:
            found = await self._galleries.find_one({"_id": gallery_id}, session=session)
            if found is None or found["status"] != Status.LIVE:
                yield None
                return
            head = head_of(found)
            if head.job is not None:
                raise GalleryBusy(gallery_id)
            items = self._items.find({"galleryId": gallery_id}, {"item": 1}, session=session)
            ordered = items.sort("sortOrder", DESCENDING)
            yield WholeGallery(head, (body_of(document["item"]) async for document in ordered))

    async def head(self, gallery_id: str) -> GalleryHead | None:
        """The gallery of any site and in any state, deleted ones included; None if the id was never used."""
        found = await self._galleries.find_one({"_id": gallery_id})
        return None if found is None else head_of(found)

    async def items_at(self, gallery_id: str, sort_orders: Collection[float]) -> Mapping[float, dict[str, Any]]:
        """The items of a gallery with these sort orders, in wire form."""
        query = {"galleryId": gallery_id, "sortOrder": {"$in": list(sort_orders)}}
        return {found["sortOrder"]: body_of(found["item"]) async for found in self._items.find(query)}
