"""Digests of galleries with all their items, of the write model and of any version of the views, to compare them."""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from services.kit.mongo import Database, Document
from services.readmodel.documents import item_wire
from services.readmodel.versions import names_of

GALLERIES_AT_ONCE = 200
_BYTES = 16


@dataclass(frozen=True, slots=True)
class Digest:
    """A gallery at a sequence: two with the same `content` have the same fields and the same items."""

    sequence: int
    content: str | None
    """None if it is deleted, or not to be seen yet."""


class Source:
    """Where galleries are stored: the write model, or a version of the views."""

    def __init__(self, database: Database, version: int | None = None) -> None:
        """`version` is that of the views, None for the write model (design, section 4)."""
        names = names_of(version) if version else None
        self._galleries = database[names.galleries if names else "galleries"]
        self._items = database[names.items if names else "items"]

    async def count(self) -> int:
        """How many galleries there are, roughly."""
        return await self._galleries.estimated_document_count()

    async def ids(self) -> AsyncIterator[list[str]]:
        """The ids of all galleries, deleted ones included, in parts."""
        part: list[str] = []
        async for found in self._galleries.find({}, {"_id": 1}).sort("_id"):
            part.append(found["_id"])
            if len(part) == GALLERIES_AT_ONCE:
                yield part
                part = []
        if part:
            yield part

    async def digests(self, gallery_ids: Collection[str]) -> dict[str, Digest]:
        """The digests of those of these galleries that are there and do not change meanwhile."""
        before = await self._heads(gallery_ids)
        items = dict.fromkeys(before, 0)
        async for found in self._items.find({"galleryId": {"$in": list(before)}}):
            # Added up, so that their order does not matter: it follows from the items' sort orders.
            items[found["galleryId"]] ^= _hash(item_wire(found))
        after = await self._heads(gallery_ids)
        return {
            id_: Digest(head["sequence"], f"{_hash(_fields(head)) ^ items[id_]:x}" if _is_live(head) else None)
            for id_, head in before.items()
            if after.get(id_) == head
        }

    async def known(self, gallery_ids: Collection[str]) -> set[str]:
        """Those of these galleries that are there."""
        query = {"_id": {"$in": list(gallery_ids)}}
        return {found["_id"] async for found in self._galleries.find(query, {"_id": 1})}

    async def item_ids(self, gallery_id: str) -> set[str]:
        """The ids of a gallery's items."""
        return {found["_id"] async for found in self._items.find({"galleryId": gallery_id}, {"_id": 1})}

    async def _heads(self, gallery_ids: Collection[str]) -> dict[str, Document]:
        return {found["_id"]: found async for found in self._galleries.find({"_id": {"$in": list(gallery_ids)}})}


def _is_live(head: Mapping[str, Any]) -> bool:
    return "sortOrder" in head and "completeAt" not in head and head.get("status", "live") == "live"


def _fields(head: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: head[name] for name in ("_id", "siteId", "createdDate", "totalItems")}
    return {**fields, "sortOrder": float(head["sortOrder"]), "name": head.get("name")}


def _hash(content: Mapping[str, Any]) -> int:
    encoded = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(encoded, digest_size=_BYTES).digest())
