"""Reads the views; every query is limited to one site and served by an index."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from triptych.kit.mongo.driver import (
    ASCENDING,
    DESCENDING,
    Collection,
    Database,
    Document,
    IndexModel,
    PyMongoError,
    aggregate,
    is_dropped,
)
from triptych.readmodel.cursors import read_cursor, write_cursor
from triptych.readmodel.documents import Gap, gallery_wire, is_shown, item_view_id, item_wire
from triptych.readmodel.versions import FIRST_VERSION, Versions, names_of
from triptych.readmodel.weighing import MAX_OFFSET, ROOM, Room, in_order, light, read_items, weigh

T = TypeVar("T")


def indexes(version: int = FIRST_VERSION) -> dict[str, list[IndexModel]]:
    """The indexes of a version of the views."""
    names = names_of(version)
    return {
        names.galleries: [
            IndexModel([("siteId", ASCENDING), ("createdAt", DESCENDING), ("_id", ASCENDING)]),
            # Empty as long as nothing is missing.
            IndexModel([("gap.received", ASCENDING)], sparse=True),
        ],
        # Without the site, which a gallery id implies: the projector asks for galleries of many sites at once.
        names.items: [
            IndexModel([("galleryId", ASCENDING), ("sortOrder", DESCENDING)]),
            IndexModel([("galleryId", ASCENDING), ("type", ASCENDING), ("sortOrder", DESCENDING)]),
            IndexModel([("galleryId", ASCENDING), ("tags", ASCENDING), ("sortOrder", DESCENDING)]),
        ],
    }


def first_indexes(version: int) -> dict[str, list[IndexModel]]:
    """Those of the indexes without which a version cannot be built."""
    names = names_of(version)
    every = indexes(version)
    return {names.galleries: every[names.galleries], names.items: every[names.items][:1]}


INDEXES: Mapping[str, list[IndexModel]] = indexes()

_SHOWN = {"$gt": datetime(1, 1, 1, tzinfo=UTC)}
_NEWEST_FIRST = [("createdAt", DESCENDING), ("_id", ASCENDING)]


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """A gallery with some of its items, in wire form.

    `gallery` has no `items` of its own (see `to_wire`); `sequence` is that of the last event it contains, and `gap`
    says which events it still waits for. The items are at least as new as that. `next_cursor` leads to those that were
    asked for and did not fit, and is None if all did.
    """

    gallery: dict[str, Any]
    items: list[dict[str, Any]]
    sequence: int
    gap: Gap | None
    next_cursor: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """The gallery of the contract, section 3.1."""
        return {**self.gallery, "items": self.items}


@dataclass(frozen=True, slots=True)
class ItemsPage:
    """Some of a gallery's items; `next_cursor` leads to those behind them, and is None at the end."""

    items: list[dict[str, Any]]
    next_cursor: str | None

    @property
    def is_cut(self) -> bool:
        """Whether there are more behind them, as far as it is known."""
        return self.next_cursor is not None


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items are wanted: of a type of the contract (section 3.2), with a tag, or both."""

    type: str | None = None
    tag: str | None = None

    def to_query(self) -> Document:
        """The condition in MongoDB's terms."""
        asked = {"type": self.type, "tags": self.tag}
        return {field: value for field, value in asked.items() if value is not None}


ALL = ItemFilter()


class _VersionCollections:
    """The collections of one version."""

    def __init__(self, database: Database, version: int) -> None:
        names = names_of(version)
        self.galleries: Collection = database[names.galleries]
        self.items: Collection = database[names.items]


class Views:
    """The queries of the read model. All of them raise the driver's errors when MongoDB is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions = Versions(database)
        self._known: tuple[int, _VersionCollections] | None = None

    async def get_gallery(
        self, site_id: str, gallery_id: str, item_limit: int, item_offset: int = 0, room: Room = ROOM
    ) -> GalleryPage | None:
        """A gallery with `item_limit` (1 or more) of its items; None if the site has no such gallery."""

        async def read(views: _VersionCollections) -> GalleryPage | None:
            # One round trip (measured: two thirds of the cost of two), in which the head is read first, as in `_page`.
            query, share = {"siteId": site_id, "galleryId": gallery_id}, room.small_bytes // item_limit
            items = [*in_order(query, item_limit, item_offset), light(share)]
            found = await aggregate(
                views.galleries,
                [
                    {"$match": {"_id": gallery_id, "siteId": site_id}},
                    {"$unionWith": {"coll": views.items.name, "pipeline": items}},
                ],
            )
            if not found or not is_shown(head := found[0]):
                return None
            return _gallery_page(head, *await weigh(views.items, found[1:], query, item_offset, room, 1, share))

        return await self._read(read, lambda page: page is not None and _is_full(page, item_limit, item_offset))

    async def list_galleries(
        self, site_id: str, limit: int, offset: int, item_limit: int, room: Room = ROOM
    ) -> tuple[int, list[GalleryPage]]:
        """How many galleries the site has, and `limit` of them with first items: newest first, then by id (D4)."""

        async def read(views: _VersionCollections) -> tuple[int, list[GalleryPage]]:
            shown = {"siteId": site_id, "createdAt": _SHOWN}
            heads = views.galleries.find(shown).sort(_NEWEST_FIRST).skip(min(offset, MAX_OFFSET)).limit(limit)
            total, found = await asyncio.gather(views.galleries.count_documents(shown), heads.to_list(None))
            pages = (_page(views, head, item_limit, room, len(found)) for head in found)
            return total, list(await asyncio.gather(*pages))

        def is_whole(answer: tuple[int, list[GalleryPage]]) -> bool:
            total, pages = answer
            is_expected = len(pages) == min(limit, max(0, total - offset)) and total > 0
            return is_expected and all(_is_full(page, item_limit, 0) for page in pages)

        return await self._read(read, is_whole)

    async def list_items(
        self,
        site_id: str,
        gallery_id: str,
        limit: int,
        offset: int,
        wanted: ItemFilter = ALL,
        room: Room = ROOM,
    ) -> ItemsPage | None:
        """A gallery's items by descending `sortOrder` (D3); None if the site has no such gallery.

        There is a cursor only if not all that were asked for fit.
        """

        async def read(views: _VersionCollections) -> ItemsPage | None:
            if await _head(views, site_id, gallery_id) is None:
                return None
            query = {"siteId": site_id, "galleryId": gallery_id, **wanted.to_query()}
            return ItemsPage(*await read_items(views.items, query, limit, offset, room))

        return await self._read(read, lambda page: page is not None and (len(page.items) == limit or page.is_cut))

    async def list_items_after(
        self,
        site_id: str,
        gallery_id: str,
        limit: int,
        cursor: str | None = None,
        wanted: ItemFilter = ALL,
        room: Room = ROOM,
    ) -> ItemsPage | None:
        """The items behind a cursor of `ItemsPage`, or the first ones; None if the site has no such gallery.

        A page costs the same wherever it is, and items that come or go before it do not move it.

        Raises:
            InvalidCursor: no page of ours had this cursor.
        """
        behind = {} if cursor is None else {"sortOrder": {"$lt": read_cursor(cursor)}}

        async def read(views: _VersionCollections) -> ItemsPage | None:
            if await _head(views, site_id, gallery_id) is None:
                return None
            query = {"siteId": site_id, "galleryId": gallery_id, **wanted.to_query(), **behind}
            return ItemsPage(*await read_items(views.items, query, limit + 1, 0, room))

        found = await self._read(read, lambda page: page is not None and (len(page.items) > limit or page.is_cut))
        if found is None or len(found.items) <= limit:
            return found
        items = found.items[:limit]
        return ItemsPage(items, write_cursor(items[-1]["sortOrder"]))

    async def get_item(self, site_id: str, gallery_id: str, item_id: str) -> dict[str, Any] | None:
        """One item; None if there is none, or if it belongs to another gallery or site."""

        async def read(views: _VersionCollections) -> dict[str, Any] | None:
            # Items of a gallery that is not complete yet are there, but not to be seen.
            head, found = await asyncio.gather(
                views.galleries.find_one({"_id": gallery_id, "siteId": site_id}, {"createdAt": 1}),
                views.items.find_one({"_id": item_view_id(gallery_id, item_id), "siteId": site_id}),
            )
            return None if head is None or found is None or not is_shown(head) else item_wire(found)

        return await self._read(read, lambda item: item is not None)

    async def sequence_of(self, site_id: str, gallery_id: str) -> int | None:
        """The last sequence that the views contain of a gallery, deleted ones included; None if they know nothing."""

        async def read(views: _VersionCollections) -> int | None:
            found = await views.galleries.find_one({"_id": gallery_id, "siteId": site_id}, {"sequence": 1})
            return None if found is None else int(found["sequence"])

        return await self._read(read, lambda sequence: sequence is not None)

    async def _read(self, read: Callable[[_VersionCollections], Awaitable[T]], is_whole: Callable[[T], bool]) -> T:
        """What `read` finds in the active version; if that is not everything, the version may have been replaced."""
        while True:
            version, views = self._known or await self._look_up()
            try:
                answer = await read(views)
            except PyMongoError as error:
                # A version that was replaced is dropped, whoever is reading it.
                if is_dropped(error) and (await self._look_up())[0] != version:
                    continue
                raise
            if is_whole(answer) or (await self._look_up())[0] == version:
                return answer

    async def _look_up(self) -> tuple[int, _VersionCollections]:
        version = await self._versions.active()
        if self._known is None or self._known[0] != version:
            self._known = version, _VersionCollections(self._database, version)
        return self._known


async def _head(views: _VersionCollections, site_id: str, gallery_id: str) -> Document | None:
    found = await views.galleries.find_one({"_id": gallery_id, "siteId": site_id})
    return found if found is not None and is_shown(found) else None


async def _page(views: _VersionCollections, head: Document, item_limit: int, room: Room, sharers: int) -> GalleryPage:
    # After the head, so that the items are never older than the sequence that the head tells.
    query = {"siteId": head["siteId"], "galleryId": head["_id"]}
    return _gallery_page(head, *await read_items(views.items, query, item_limit, 0, room, sharers))


def _gallery_page(head: Document, items: list[dict[str, Any]], next_cursor: str | None) -> GalleryPage:
    return GalleryPage(gallery_wire(head), items, head["sequence"], head.get("gap"), next_cursor)


def _is_full(page: GalleryPage, limit: int, offset: int) -> bool:
    total: int = page.gallery["totalItems"]
    return len(page.items) >= min(limit, max(0, total - offset)) or page.next_cursor is not None
