"""Reads the write model for services that compare with it; the command service has its own queries."""

from collections.abc import AsyncIterator, Collection

from triptych.kit.mongo.driver import Database, Document
from triptych.kit.mongo.fencing import all_documents
from triptych.writemodel.galleries import GALLERIES, Status


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

    async def has(self, gallery_id: str) -> bool:
        """Whether a gallery exists and is not deleted. Clients may not see it yet."""
        found = await self._galleries.find_one({"_id": gallery_id}, {"status": 1})
        return found is not None and found["status"] != Status.DELETED
