"""Reads the write model for services that compare with it; the command service has its own queries."""

from collections.abc import AsyncIterator, Collection
from typing import NamedTuple

from triptych.kit.mongo.driver import ASCENDING, Database, Document, aggregate
from triptych.kit.mongo.fencing import all_documents
from triptych.writemodel.galleries import GALLERIES, Status


class LiveGallery(NamedTuple):
    """A gallery that clients see."""

    gallery_id: str
    site_id: str


class WriteModel:
    """The galleries of all sites of one installation."""

    def __init__(self, database: Database) -> None:
        self._galleries = database[GALLERIES]

    async def heads(self) -> AsyncIterator[Document]:
        """All galleries, deleted ones included: `_id`, `siteId`, `sequence`, `status` and `job`."""
        async for found in all_documents(self._galleries, {"siteId": 1, "sequence": 1, "status": 1, "job": 1}):
            yield found

    async def known(self, gallery_ids: Collection[str]) -> set[str]:
        """The ids among `gallery_ids` that have a document, deleted galleries included."""
        query = {"_id": {"$in": list(gallery_ids)}}
        return {found["_id"] async for found in self._galleries.find(query, {"_id": 1})}

    async def existing(self, gallery_ids: Collection[str]) -> set[str]:
        """The ids among `gallery_ids` of galleries that are not deleted. Clients may not see them yet."""
        query = {"_id": {"$in": list(gallery_ids)}, "status": {"$ne": Status.DELETED.value}}
        return {found["_id"] async for found in self._galleries.find(query, {"_id": 1})}

    async def has(self, gallery_id: str) -> bool:
        """Whether a gallery exists and is not deleted. Clients may not see it yet."""
        found = await self._galleries.find_one({"_id": gallery_id}, {"status": 1})
        return found is not None and found["status"] != Status.DELETED

    async def live(
        self, site_id: str | None, gallery_ids: Collection[str] = (), after: str = ""
    ) -> AsyncIterator[LiveGallery]:
        """The galleries that clients see, by id.

        Args:
            site_id: only this site; None for all sites.
            gallery_ids: only these; empty for all.
            after: only galleries whose ids come after this one.
        """
        query = _live(site_id, gallery_ids, after)
        async for found in self._galleries.find(query, {"siteId": 1}).sort("_id", ASCENDING):
            yield LiveGallery(found["_id"], found["siteId"])

    async def count_live(
        self, site_id: str | None, gallery_ids: Collection[str] = (), after: str = ""
    ) -> tuple[int, int]:
        """The number of galleries that `live` yields, and of their items."""
        totals = {"_id": None, "galleries": {"$sum": 1}, "items": {"$sum": "$totalItems"}}
        found = await aggregate(
            self._galleries, [{"$match": _live(site_id, gallery_ids, after)}, {"$group": totals}], at_once=1
        )
        return (found[0]["galleries"], found[0]["items"]) if found else (0, 0)


def _live(site_id: str | None, gallery_ids: Collection[str], after: str) -> Document:
    # The claims in this collection have objects as ids, which no text compares with.
    wanted: Document = {"$gt": after}
    if gallery_ids:
        wanted["$in"] = sorted(gallery_ids)
    query: Document = {"_id": wanted, "status": Status.LIVE.value}
    return query if site_id is None else {**query, "siteId": site_id}
