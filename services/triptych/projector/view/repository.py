"""Stores the views in MongoDB: loads the galleries of a batch in one query, and saves the batch in one transaction."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from collections.abc import Collection as AbstractCollection
from typing import Any, TypeAlias

from triptych.contract.joined import HEAD_ITEMS_MAX
from triptych.kit.chunks import until_full
from triptych.kit.failures import TransientFailure
from triptych.kit.mongo.driver import (
    ASCENDING,
    DESCENDING,
    Collection,
    Database,
    DeleteOne,
    Document,
    DuplicateKeyError,
    ReplaceOne,
    UpdateOne,
)
from triptych.kit.mongo.fencing import Ownership, all_documents
from triptych.kit.mongo.inserting import insert_all
from triptych.kit.mongo.routers import within
from triptych.kit.mongo.transactions import committed_reads, transaction
from triptych.projector.view.batch import Batch
from triptych.projector.view.fold import ItemView, View
from triptych.projector.view.mapping import document_of, item_view_of, view_of
from triptych.readmodel.documents import item_document, item_view_id, item_wire
from triptych.readmodel.versions import FIRST_VERSION, names_of

INCOMPLETE_MAX = 10_000
"""Where counting galleries that wait for events ends: the cost of counting must not grow with their number."""
ItemKey: TypeAlias = tuple[str, str]
"""The ids of an item's gallery and of the item."""


class _ItemExists(Exception):
    """An item that was expected to be new is stored already."""


class _OtherWriter(Exception):
    """Another writer has changed one of the galleries, or owns its partition."""


class ViewRepository:
    """One version of the views. Only the owner of an event's partition can write the event's effect."""

    def __init__(self, database: Database, ownership: Ownership, version: int = FIRST_VERSION) -> None:
        """`ownership` must store its claims in the gallery collection of this version."""
        self._database = database
        self._ownership = ownership
        names = names_of(version)
        self._galleries: Collection = database[names.galleries]
        self._items: Collection = database[names.items]

    async def load(self, gallery_ids: AbstractCollection[str]) -> dict[str, View]:
        """The stored views of these galleries, by id. No site is needed: a gallery id belongs to one site only."""
        if not gallery_ids:
            return {}
        found = await self._read(self._galleries, {"_id": {"$in": list(gallery_ids)}})
        return {document["_id"]: view_of(document) for document in found}

    async def load_items(self, items: AbstractCollection[ItemKey]) -> dict[str, ItemView]:
        """The views of those items that exist, by item id."""
        if not items:
            return {}
        found = await self._read(self._items, self._by_id(items))
        return {item.item_id: item for item in map(item_view_of, found)}

    async def load_item_sequences(self, items: AbstractCollection[ItemKey]) -> dict[str, int]:
        """The sequences of those items that exist, by item id."""
        if not items:
            return {}
        found = await self._read(self._items, self._by_id(items), {"item.id": 1, "sequence": 1})
        return {document["item"]["id"]: document["sequence"] for document in found}

    async def first_items(self, views: Iterable[View], limit: int = HEAD_ITEMS_MAX) -> dict[str, list[dict[str, Any]]]:
        """The wire forms of the first items of each gallery, by gallery id, in any order.

        A gallery with more than `limit` items has `limit` items in the result. Any other gallery has all of them.
        Small galleries share one query (measured: a fifth of the cost of one query each).
        """
        views = list(views)
        # The number of items of a gallery that lacks events cannot be trusted.
        large = [view for view in views if view.total_items > limit or view.missing or view.open_snapshot]
        small = [view for view in views if view.total_items and view not in large]
        queries = [self._find_items([view], limit) for view in large]
        if small:
            queries.append(self._find_items(small))
        first: dict[str, list[dict[str, Any]]] = {view.gallery_id: [] for view in views}
        for page in await asyncio.gather(*queries):
            for document in page:
                first[document["galleryId"]].append(item_wire(document))
        return first

    async def _find_items(self, views: Sequence[View], limit: int = 0) -> list[Document]:
        """All items of several galleries, or, with a limit, the first items of a single gallery."""
        return await self._read(self._items, _items_of(views), limit=limit)

    async def _read(
        self, collection: Collection, query: Document, fields: Document | None = None, *, limit: int = 0
    ) -> list[Document]:
        """The documents that are found; with a limit, those of the highest sort orders."""
        async with committed_reads(self._database) as session:
            found = collection.find(query, fields, session=session)
            return await (found.sort("sortOrder", DESCENDING).limit(limit) if limit else found).to_list(None)

    async def items_before(self, gallery_id: str, sequence: int) -> list[str]:
        """The ids of a gallery's items with a lower sequence."""
        query = {"galleryId": gallery_id, "sequence": {"$lt": sequence}}
        return [found["item"]["id"] for found in await self._read(self._items, query, {"item.id": 1})]

    async def item_ids(self, gallery_id: str, after: str, count: int) -> list[str]:
        """Up to `count` ids of a gallery's items after the id `after`, in order."""
        query = {"_id": {"$gt": item_view_id(gallery_id, after)}, "galleryId": gallery_id}
        found = self._items.find(query, {"item.id": 1}).sort("_id", ASCENDING).limit(count)
        return [document["item"]["id"] async for document in found]

    async def save(self, loaded: Mapping[str, View], batch: Batch, partitions: Iterable[int]) -> None:
        """Write the changes of a batch, all of them or none.

        Args:
            loaded: the views that the batch was folded from, by gallery id.
            batch: the changes.
            partitions: the partitions that the events came from.

        Raises:
            OwnershipLost: one of the partitions has another owner.
            TransientFailure: MongoDB is away, or another writer changed one of the galleries since it was loaded.
        """
        if not batch.changed and not batch.items:
            return
        partitions = set(partitions)
        try:
            try:
                await self._save(loaded, batch, partitions, batch.new)
            except _ItemExists:
                # An incomplete snapshot has stored the item before its creation event came.
                await self._save(loaded, batch, partitions, frozenset())
        except _OtherWriter as refused:
            await self._ownership.check(partitions)
            raise TransientFailure(str(refused)) from refused

    async def _save(
        self, loaded: Mapping[str, View], batch: Batch, partitions: Iterable[int], new: AbstractCollection[str]
    ) -> None:
        # An insert is much cheaper than a replacement with upsert.
        added = [
            _item_document(item, item.item)
            for item in batch.items.values()
            if item.item is not None and item.item_id in new
        ]
        changed = [
            self._item_write(item) for item in batch.items.values() if item.item is None or item.item_id not in new
        ]
        known = [_head_write(batch.views[id_], loaded[id_]) for id_ in batch.changed if id_ in loaded]
        unknown = [document_of(batch.views[id_]) for id_ in batch.changed if id_ not in loaded]
        async with transaction(self._database) as session:
            # One kind of write in each call: after a failure, the driver would send the next kind, and fail again,
            # since the failure has ended the transaction. Unordered: a cluster carries out ordered writes shard by
            # shard, one after another.
            fences = await self._ownership.fence(session, partitions)
            writes: list[UpdateOne | ReplaceOne[Document]] = [*fences, *known]
            written = await self._galleries.bulk_write(writes, ordered=False, session=session)
            if written.matched_count != len(writes):
                raise _OtherWriter("a gallery's view was changed by another writer")
            try:
                await insert_all(self._galleries, unknown, session)
            except DuplicateKeyError as error:
                raise _OtherWriter("a gallery's view was created by another writer") from error
            if changed:
                await self._items.bulk_write(changed, ordered=False, session=session)
            try:
                await insert_all(self._items, added, session)
            except DuplicateKeyError as error:
                raise _ItemExists from error

    def _by_id(self, items: AbstractCollection[ItemKey]) -> Document:
        """The filter for these items."""
        ids = {"$in": [item_view_id(*key) for key in items]}
        return within(self._database, {"_id": ids}, galleryId={"$in": sorted({gallery_id for gallery_id, _ in items})})

    def _item_write(self, item: ItemView) -> DeleteOne | ReplaceOne[Document]:
        view_id = item_view_id(item.gallery_id, item.item_id)
        by_id = within(self._database, {"_id": view_id}, galleryId=item.gallery_id)
        if item.item is None:
            return DeleteOne(by_id)
        return ReplaceOne(by_id, _item_document(item, item.item), upsert=True)

    async def incomplete(self) -> AsyncIterator[View]:
        """The views that wait for missing events."""
        async for document in self._galleries.find({"gap.received": {"$gt": 0}}):
            yield view_of(document)

    async def all_views(self, at_once: int) -> AsyncIterator[dict[str, View]]:
        """All views by gallery id, in chunks of `at_once`."""
        found = all_documents(self._galleries).sort("_id", ASCENDING)
        async for chunk in until_full((view_of(document) async for document in found), count=at_once):
            yield {view.gallery_id: view for view in chunk}

    async def count_incomplete(self) -> int:
        """The number of galleries that wait for missing events, up to `INCOMPLETE_MAX`."""
        return await self._galleries.count_documents({"gap.received": {"$gt": 0}}, limit=INCOMPLETE_MAX)


def _items_of(views: Sequence[View]) -> Document:
    """The filter for the items of these galleries."""
    return {
        "siteId": {"$in": list({view.site_id for view in views})},
        "galleryId": {"$in": [view.gallery_id for view in views]},
    }


def _head_write(view: View, loaded: View) -> ReplaceOne[Document]:
    stored = {"_id": view.gallery_id, "siteId": view.site_id, "sequence": loaded.sequence}
    return ReplaceOne(stored, document_of(view))


def _item_document(item: ItemView, wire: Mapping[str, Any]) -> Document:
    return item_document(item.site_id, item.gallery_id, wire, item.sequence)
