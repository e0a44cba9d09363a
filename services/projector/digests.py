"""Digests of galleries with all their items, of the write model and of any version of the views, to compare them."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias

import orjson

from services.kit.mongo import Database, Document, find_raw
from services.readmodel.documents import item_wire
from services.readmodel.versions import names_of

GALLERIES_AT_ONCE = 200
_BYTES = 16
# Of a BSON document: its size (4 bytes), the type of its first field (1), that field's name, the text's size (4).
_ID_STARTS = 4 + 1 + len(b"galleryId\0") + 4


@dataclass(frozen=True, slots=True)
class Digest:
    """A gallery at a sequence: two with the same `content` have the same fields and the same items."""

    sequence: int
    content: str | None
    """None if it is deleted, or not to be seen yet."""


ItemHash: TypeAlias = tuple[str, int]
"""The id of an item's gallery, and a hash of the item."""
ItemHashes: TypeAlias = Callable[[Collection[str]], AsyncIterator[ItemHash]]
"""Of the items of galleries given by id."""


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
        return await self._in_parts(gallery_ids, self._item_hashes)

    async def quick_digests(self, gallery_ids: Collection[str]) -> dict[str, Digest]:
        """Like `digests`, at a third of the cost, to be compared only with their like.

        Equal ones mean the same. Unequal ones may do so as well: they are of the bytes in MongoDB, which differ if the
        fields of an item come in another order.
        """
        return await self._in_parts(gallery_ids, self._item_byte_hashes)

    async def _in_parts(self, gallery_ids: Collection[str], item_hashes: ItemHashes) -> dict[str, Digest]:
        digests: dict[str, Digest] = {}
        every = list(gallery_ids)
        for start in range(0, len(every), GALLERIES_AT_ONCE):
            digests |= await self._digests(every[start : start + GALLERIES_AT_ONCE], item_hashes)
        return digests

    async def _digests(self, gallery_ids: Collection[str], item_hashes: ItemHashes) -> dict[str, Digest]:
        before = await self._heads(gallery_ids)
        items = dict.fromkeys(before, 0)
        async for gallery_id, item_hash in item_hashes(before):
            # Added up, so that their order does not matter: it follows from the items' sort orders.
            items[gallery_id] ^= item_hash
        after = await self._heads(gallery_ids)
        return {
            id_: Digest(head["sequence"], f"{_hash(_fields(head)) ^ items[id_]:x}" if _is_live(head) else None)
            for id_, head in before.items()
            if after.get(id_) == head
        }

    async def _item_hashes(self, gallery_ids: Collection[str]) -> AsyncIterator[ItemHash]:
        async for found in self._items.find({"galleryId": {"$in": list(gallery_ids)}}):
            yield found["galleryId"], _hash(item_wire(found))

    async def _item_byte_hashes(self, gallery_ids: Collection[str]) -> AsyncIterator[ItemHash]:
        query = {"galleryId": {"$in": list(gallery_ids)}}
        async for found in find_raw(self._items, query, {"_id": 0, "galleryId": 1, "item": 1}):
            yield _byte_hash(found)

    async def known(self, gallery_ids: Collection[str]) -> set[str]:
        """Those of these galleries that are there."""
        query = {"_id": {"$in": list(gallery_ids)}}
        return {found["_id"] async for found in self._galleries.find(query, {"_id": 1})}

    async def item_ids(self, gallery_id: str) -> set[str]:
        """The ids of a gallery's items."""
        return {found["item"]["id"] async for found in self._items.find({"galleryId": gallery_id}, {"item.id": 1})}

    async def _heads(self, gallery_ids: Collection[str]) -> dict[str, Document]:
        return {found["_id"]: found async for found in self._galleries.find({"_id": {"$in": list(gallery_ids)}})}


def _is_live(head: Mapping[str, Any]) -> bool:
    return "sortOrder" in head and "completeAt" not in head and head.get("status", "live") == "live"


def _fields(head: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: head[name] for name in ("_id", "siteId", "createdDate", "totalItems")}
    return {**fields, "sortOrder": float(head["sortOrder"]), "name": head.get("name")}


def _hash(content: Mapping[str, Any]) -> int:
    return _hash_bytes(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))


def _byte_hash(found: bytes) -> ItemHash:
    # Fields come in the order in which they are stored: the id of the gallery is the first.
    end = _ID_STARTS + int.from_bytes(found[_ID_STARTS - 4 : _ID_STARTS], "little") - 1
    return found[_ID_STARTS:end].decode(), _hash_bytes(found[end:])


def _hash_bytes(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=_BYTES).digest())
