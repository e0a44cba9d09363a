"""Digests of galleries with all their items, of the write model and of any version of the views, to compare them."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Database, Document, find_raw
from triptych.kit.mongo.fencing import all_documents, count_documents
from triptych.readmodel.documents import item_wire
from triptych.readmodel.versions import names_of
from triptych.writemodel.galleries import GALLERIES, ITEMS, is_live

# What is compared at once: a part ends with the gallery that reaches either.
GALLERIES_AT_ONCE = 200
ITEMS_AT_ONCE = 50_000
_BYTES = 16
# By the indexes that the write model and the views have: nothing has to be sorted.
_ITEM_ORDER = (("galleryId", ASCENDING), ("sortOrder", DESCENDING))


@dataclass(frozen=True, slots=True)
class Digest:
    """A gallery at a sequence: two with the same `content` have the same fields and the same items."""

    sequence: int
    content: str | None
    """None if it is deleted, or not to be seen yet."""


class Source:
    """Where galleries are stored: the write model, or a version of the views."""

    def __init__(self, database: Database, version: int | None = None) -> None:
        """`version` is that of the views, None for the write model (docs/architecture/rebuild-and-repair.md)."""
        names = names_of(version) if version else None
        self._galleries = database[names.galleries if names else GALLERIES]
        self._items = database[names.items if names else ITEMS]

    async def count(self) -> int:
        """How many galleries there are, deleted ones included."""
        return await count_documents(self._galleries)

    async def ids(self) -> AsyncIterator[list[str]]:
        """The ids of all galleries, deleted ones included, in order and in parts."""
        part: list[str] = []
        items = 0
        async for found in all_documents(self._galleries, {"totalItems": 1}).sort("_id"):
            part.append(found["_id"])
            items += found.get("totalItems", 0)
            if len(part) == GALLERIES_AT_ONCE or items >= ITEMS_AT_ONCE:
                yield part
                part, items = [], 0
        if part:
            yield part

    async def fingerprint(self, gallery_ids: Sequence[str]) -> bytes | None:
        """A hash of consecutive galleries with all their items, at a fifth of the cost of digests; None if they change.

        To be compared only with the same galleries elsewhere. Equal ones mean that all of them are the same. Unequal
        ones may mean so as well: items are taken as the bytes that they are in MongoDB, which differ if their fields
        come in another order, and items of galleries that are not to be seen yet are taken as well.
        """
        before = await self._heads(gallery_ids)
        content = blake2b(digest_size=_BYTES)
        for head in (before[id_] for id_ in gallery_ids if id_ in before):
            if _is_seen(head):
                content.update(_canonical({**fields_of(head), "sequence": head["sequence"]}))
        # A range costs MongoDB a fifth less than a list. One half is read while the other is hashed.
        middle = gallery_ids[len(gallery_ids) // 2]
        first, second = {"$gte": gallery_ids[0], "$lt": middle}, {"$gte": middle, "$lte": gallery_ids[-1]}
        for half in await asyncio.gather(self._hash_items(first), self._hash_items(second)):
            content.update(half)
        return content.digest() if await self._heads(gallery_ids) == before else None

    async def _hash_items(self, gallery_ids: Document) -> bytes:
        content = blake2b(digest_size=_BYTES)
        query, fields = {"galleryId": gallery_ids}, {"_id": 0, "galleryId": 1, "item": 1}
        async for part in find_raw(self._items, query, fields, _ITEM_ORDER):
            content.update(part)
        return content.digest()

    async def digests(self, gallery_ids: Collection[str]) -> dict[str, Digest]:
        """The digests of those of these galleries that are there and do not change meanwhile."""
        digests: dict[str, Digest] = {}
        every = list(gallery_ids)
        for start in range(0, len(every), GALLERIES_AT_ONCE):
            digests |= await self._digests(every[start : start + GALLERIES_AT_ONCE])
        return digests

    async def _digests(self, gallery_ids: Collection[str]) -> dict[str, Digest]:
        before = await self._heads(gallery_ids)
        items = dict.fromkeys(before, 0)
        async for found in self._items.find({"galleryId": {"$in": list(before)}}):
            # Added up, so that their order does not matter: it follows from the items' sort orders.
            items[found["galleryId"]] ^= hash_of(item_wire(found))
        after = await self._heads(gallery_ids)
        return {
            id_: Digest(head["sequence"], f"{hash_of(fields_of(head)) ^ items[id_]:x}" if _is_seen(head) else None)
            for id_, head in before.items()
            if after.get(id_) == head
        }

    async def known(self, gallery_ids: Collection[str]) -> set[str]:
        """Those of these galleries that are there."""
        query = {"_id": {"$in": list(gallery_ids)}}
        return {found["_id"] async for found in self._galleries.find(query, {"_id": 1})}

    async def item_ids(self, gallery_id: str) -> set[str]:
        """The ids of a gallery's items."""
        return {found["item"]["id"] async for found in self._items.find({"galleryId": gallery_id}, {"item.id": 1})}

    async def _heads(self, gallery_ids: Collection[str]) -> dict[str, Document]:
        return {found["_id"]: found async for found in self._galleries.find({"_id": {"$in": list(gallery_ids)}})}


def _is_seen(head: Mapping[str, Any]) -> bool:
    return "sortOrder" in head and "completeAt" not in head and ("status" not in head or is_live(head))


def fields_of(head: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared of a gallery besides its items, from its document."""
    fields = {name: head[name] for name in ("_id", "siteId", "createdDate", "totalItems")}
    return {**fields, "sortOrder": float(head["sortOrder"]), "name": head.get("name")}


def hash_of(content: Mapping[str, Any]) -> int:
    """A number that stands for this JSON content, whatever the order of its fields."""
    return int.from_bytes(blake2b(_canonical(content), digest_size=_BYTES).digest())


def _canonical(content: Mapping[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
