"""Computes digests of galleries with all their items, in the write model and in any version of the views."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from triptych.kit.chunks import by_count, until_full
from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Database, Document, find_raw
from triptych.kit.mongo.fencing import all_documents, count_documents
from triptych.readmodel.documents import item_wire
from triptych.readmodel.versions import names_of
from triptych.writemodel.galleries import GALLERIES, ITEMS, is_live

# The bounds of a chunk of galleries: a chunk ends with the gallery that reaches either.
GALLERIES_AT_ONCE = 200
ITEMS_AT_ONCE = 50_000
_BYTES = 16
# Both the write model and the views have an index in this order, so that MongoDB sorts nothing.
_ITEM_ORDER = (("galleryId", ASCENDING), ("sortOrder", DESCENDING))


@dataclass(frozen=True, slots=True)
class Digest:
    """A gallery at a sequence. Two digests with the same `content` have the same fields and the same items."""

    sequence: int
    content: str | None
    """None if the gallery is deleted or not shown yet."""


class GalleryStore:
    """A store of galleries to compare: the write model, or a version of the views."""

    def __init__(self, database: Database, version: int | None = None) -> None:
        """`version` is one of the views, or None for the write model (docs/architecture/rebuild-and-repair.md)."""
        names = names_of(version) if version else None
        self._galleries = database[names.galleries if names else GALLERIES]
        self._items = database[names.items if names else ITEMS]

    async def count(self) -> int:
        """The number of galleries, deleted ones included."""
        return await count_documents(self._galleries)

    async def ids(self) -> AsyncIterator[list[str]]:
        """The ids of all galleries, deleted ones included, in order and in chunks."""
        found = all_documents(self._galleries, {"totalItems": 1}).sort("_id")
        heads = ((head["_id"], head.get("totalItems", 0)) async for head in found)
        async for chunk in until_full(heads, count=GALLERIES_AT_ONCE, limit=ITEMS_AT_ONCE, weigh=lambda head: head[1]):
            yield [gallery_id for gallery_id, _ in chunk]

    async def combined_hash(self, gallery_ids: Sequence[str]) -> bytes | None:
        """One hash of consecutive galleries with all their items, at a fifth of the cost of digests.

        The hash can be compared only with that of the same galleries in another store. If the hashes are equal, all
        these galleries are equal. If the hashes differ, the galleries may still be equal: the hash covers the bytes
        that MongoDB stores, which differ with the order of fields, and the items of galleries that are not shown yet.

        Returns:
            The hash, or None if a gallery has changed meanwhile.
        """
        before = await self._heads(gallery_ids)
        content = blake2b(digest_size=_BYTES)
        for head in (before[id_] for id_ in gallery_ids if id_ in before):
            if _is_shown(head):
                content.update(_canonical({**fields_of(head), "sequence": head["sequence"]}))
        # A range of ids costs MongoDB a fifth less than a list of ids. One half is read while the other is hashed.
        middle = gallery_ids[len(gallery_ids) // 2]
        first, second = {"$gte": gallery_ids[0], "$lt": middle}, {"$gte": middle, "$lte": gallery_ids[-1]}
        for half in await asyncio.gather(self._hash_items(first), self._hash_items(second)):
            content.update(half)
        return content.digest() if await self._heads(gallery_ids) == before else None

    async def _hash_items(self, gallery_ids: Document) -> bytes:
        content = blake2b(digest_size=_BYTES)
        query, fields = {"galleryId": gallery_ids}, {"_id": 0, "galleryId": 1, "item": 1}
        async for raw in find_raw(self._items, query, fields, _ITEM_ORDER):
            content.update(raw)
        return content.digest()

    async def digests(self, gallery_ids: Collection[str]) -> dict[str, Digest]:
        """The digests of those galleries that exist and do not change meanwhile, by gallery id."""
        digests: dict[str, Digest] = {}
        for chunk in by_count(list(gallery_ids), GALLERIES_AT_ONCE):
            digests |= await self._digests(chunk)
        return digests

    async def _digests(self, gallery_ids: Collection[str]) -> dict[str, Digest]:
        before = await self._heads(gallery_ids)
        items = dict.fromkeys(before, 0)
        async for found in self._items.find({"galleryId": {"$in": list(before)}}):
            # XOR makes the order of the items irrelevant: their order follows from the sort orders.
            items[found["galleryId"]] ^= int.from_bytes(hash_of(item_wire(found)))
        after = await self._heads(gallery_ids)
        return {
            id_: Digest(head["sequence"], _content(head, items[id_]) if _is_shown(head) else None)
            for id_, head in before.items()
            if after.get(id_) == head
        }

    async def known(self, gallery_ids: Collection[str]) -> set[str]:
        """The ids of those galleries that exist."""
        query = {"_id": {"$in": list(gallery_ids)}}
        return {found["_id"] async for found in self._galleries.find(query, {"_id": 1})}

    async def item_ids(self, gallery_id: str) -> set[str]:
        """The ids of a gallery's items."""
        return {found["item"]["id"] async for found in self._items.find({"galleryId": gallery_id}, {"item.id": 1})}

    async def _heads(self, gallery_ids: Collection[str]) -> dict[str, Document]:
        return {found["_id"]: found async for found in self._galleries.find({"_id": {"$in": list(gallery_ids)}})}


def _content(head: Mapping[str, Any], items: int) -> str:
    return f"{int.from_bytes(hash_of(fields_of(head))) ^ items:x}"


def _is_shown(head: Mapping[str, Any]) -> bool:
    return "sortOrder" in head and "completeAt" not in head and ("status" not in head or is_live(head))


def fields_of(head: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a gallery's document that are compared, without the items."""
    fields = {name: head[name] for name in ("_id", "siteId", "createdDate", "totalItems")}
    return {**fields, "sortOrder": float(head["sortOrder"]), "name": head.get("name")}


def hash_of(content: Mapping[str, Any]) -> bytes:
    """A hash of JSON content that does not depend on the order of fields, as 16 bytes."""
    return blake2b(_canonical(content), digest_size=_BYTES).digest()


def _canonical(content: Mapping[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
