"""Reads the views; every query is limited to one site and served by an index."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

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
from triptych.kit.mongo.routers import within
from triptych.kit.mongo.sharding import ShardKey
from triptych.readmodel import gallery_lists
from triptych.readmodel.cursors import read_cursor, write_cursor
from triptych.readmodel.documents import Gap, gallery_wire, is_shown, item_view_id, item_wire
from triptych.readmodel.gallery_lists import COUNTED_MAX, GalleryCursor, GalleryList
from triptych.readmodel.versions import FIRST_VERSION, Versions, names_of
from triptych.readmodel.weighing import (
    MAX_OFFSET,
    ROOM,
    Room,
    display_order_stages,
    fit_into_room,
    read_items,
    small_items_stage,
)

T = TypeVar("T")


def indexes(version: int = FIRST_VERSION) -> dict[str, list[IndexModel]]:
    """The indexes of a version of the views, by collection name."""
    names = names_of(version)
    return {
        names.galleries: [
            ShardKey("_id"),
            *gallery_lists.INDEXES,
            # Empty as long as no gallery lacks events.
            IndexModel([("gap.received", ASCENDING)], sparse=True),
        ],
        # Without the site, which the gallery id implies: one query of the projector reads galleries of many sites.
        names.items: [
            ShardKey("galleryId"),
            IndexModel([("galleryId", ASCENDING), ("sortOrder", DESCENDING)]),
            IndexModel([("galleryId", ASCENDING), ("type", ASCENDING), ("sortOrder", DESCENDING)]),
            IndexModel([("galleryId", ASCENDING), ("tags", ASCENDING), ("sortOrder", DESCENDING)]),
        ],
    }


def first_indexes(version: int) -> dict[str, list[IndexModel]]:
    """The indexes that a version needs while it is being built, by collection name."""
    names = names_of(version)
    all_indexes = indexes(version)
    return {names.galleries: all_indexes[names.galleries], names.items: all_indexes[names.items][:2]}


INDEXES: Mapping[str, list[IndexModel]] = indexes()


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """A gallery with some of its items, in wire form.

    `gallery` has no `items` (see `to_wire`). `sequence` is that of the last event it contains, and `gap` says which
    events it still lacks. The items are at least as new as `sequence`. `next_cursor` is the cursor of the requested
    items that did not fit, and None if all did.
    """

    gallery: dict[str, Any]
    items: list[dict[str, Any]]
    sequence: int
    gap: Gap | None
    next_cursor: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """The wire form of the gallery (contract, section 3.1)."""
        return {**self.gallery, "items": self.items}


class GalleriesPage(NamedTuple):
    """The number of galleries in a list, and some of them. `next_cursor` is that of the following page, if any."""

    total: int
    galleries: list[GalleryPage]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ViewItemsPage:
    """Some of a gallery's items. `next_cursor` is the cursor of the following page, and None at the end."""

    items: list[dict[str, Any]]
    next_cursor: str | None

    @property
    def is_cut(self) -> bool:
        """Whether more items are known to follow."""
        return self.next_cursor is not None


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """A filter for items: by type (contract, section 3.2), by tag, or by both."""

    type: str | None = None
    tag: str | None = None

    def to_query(self) -> Document:
        """The filter as a query of MongoDB."""
        conditions = {"type": self.type, "tags": self.tag}
        return {field: value for field, value in conditions.items() if value is not None}


ALL = ItemFilter()


class ItemName(NamedTuple):
    """The site, the gallery and the id of an item."""

    site_id: str
    gallery_id: str
    item_id: str


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
        self._cached: tuple[int, _VersionCollections] | None = None

    async def get_gallery(
        self, site_id: str, gallery_id: str, item_limit: int, item_offset: int = 0, room: Room = ROOM
    ) -> GalleryPage | None:
        """A gallery with `item_limit` (1 or more) of its items; None if the site has no such gallery."""

        async def read(views: _VersionCollections) -> GalleryPage | None:
            # One round trip has two thirds of the cost of two (measured). It reads the head first, as `_page` does.
            query, share = {"siteId": site_id, "galleryId": gallery_id}, room.small_bytes // item_limit
            items = [*display_order_stages(query, item_limit, item_offset), small_items_stage(share)]
            found = await aggregate(
                views.galleries,
                [
                    {"$match": {"_id": gallery_id, "siteId": site_id}},
                    {"$unionWith": {"coll": views.items.name, "pipeline": items}},
                ],
            )
            if not found or not is_shown(head := found[0]):
                return None
            return _gallery_page(head, *await fit_into_room(views.items, found[1:], query, item_offset, room, 1, share))

        return await self._read(read, lambda page: page is not None and _is_full(page, item_limit, item_offset))

    async def list_galleries(
        self,
        site_id: str,
        limit: int,
        offset: int,
        item_limit: int,
        room: Room = ROOM,
        *,
        name: str | None = None,
        after: GalleryCursor | None = None,
    ) -> GalleriesPage:
        """`limit` of the site's galleries with first items: newest first, then by id (D4).

        With a name, only those whose name begins with it, by name and then by id. Counting them ends at `COUNTED_MAX`.
        Galleries that are created or deleted before a cursor do not move what follows it.
        """
        wanted = GalleryList(site_id, name, after)

        async def read(views: _VersionCollections) -> GalleriesPage:
            counted: dict[str, Any] = {} if wanted.name is None else {"limit": COUNTED_MAX}
            heads = views.galleries.find(wanted.query(), **wanted.options()).sort(wanted.sort())
            total, found = await asyncio.gather(
                views.galleries.count_documents(wanted.all_query(), **wanted.options(), **counted),
                heads.skip(min(offset, MAX_OFFSET)).limit(limit + 1).to_list(None),
            )
            shown = found[:limit]
            pages = await asyncio.gather(*(_page(views, head, item_limit, room, len(shown)) for head in shown))
            return GalleriesPage(total, list(pages), str(wanted.cursor_of(shown[-1])) if len(found) > limit else None)

        def is_whole(page: GalleriesPage) -> bool:
            is_expected = page.next_cursor is not None or (
                wanted.after is None and len(page.galleries) == max(0, page.total - offset)
            )
            return is_expected and page.total > 0 and all(_is_full(one, item_limit, 0) for one in page.galleries)

        return await self._read(read, is_whole)

    async def list_items(
        self,
        site_id: str,
        gallery_id: str,
        limit: int,
        offset: int,
        wanted: ItemFilter = ALL,
        room: Room = ROOM,
    ) -> ViewItemsPage | None:
        """A gallery's items in descending `sortOrder` (D3); None if the site has no such gallery.

        The page has a cursor only if not all requested items fit into `room`.
        """

        async def read(views: _VersionCollections) -> ViewItemsPage | None:
            if await _head(views, site_id, gallery_id) is None:
                return None
            query = {"siteId": site_id, "galleryId": gallery_id, **wanted.to_query()}
            return ViewItemsPage(*await read_items(views.items, query, limit, offset, room))

        return await self._read(read, lambda page: page is not None and (len(page.items) == limit or page.is_cut))

    async def list_items_after(
        self,
        site_id: str,
        gallery_id: str,
        limit: int,
        cursor: str | None = None,
        wanted: ItemFilter = ALL,
        room: Room = ROOM,
    ) -> ViewItemsPage | None:
        """The items after a cursor of `ViewItemsPage`, or the first items; None if the site has no such gallery.

        The cost of a page does not depend on its position. Items added or deleted before a page do not move it.

        Raises:
            InvalidCursor: the cursor is not one of `write_cursor`.
        """
        after_cursor = {} if cursor is None else {"sortOrder": {"$lt": read_cursor(cursor)}}

        async def read(views: _VersionCollections) -> ViewItemsPage | None:
            if await _head(views, site_id, gallery_id) is None:
                return None
            query = {"siteId": site_id, "galleryId": gallery_id, **wanted.to_query(), **after_cursor}
            return ViewItemsPage(*await read_items(views.items, query, limit + 1, 0, room))

        found = await self._read(read, lambda page: page is not None and (len(page.items) > limit or page.is_cut))
        if found is None or len(found.items) <= limit:
            return found
        items = found.items[:limit]
        return ViewItemsPage(items, write_cursor(items[-1]["sortOrder"]))

    async def get_item(self, site_id: str, gallery_id: str, item_id: str) -> dict[str, Any] | None:
        """One item; None if there is none, or if it belongs to another gallery or site.

        The items of a gallery that is not complete yet are stored, but not shown.
        """

        async def read(views: _VersionCollections) -> dict[str, Any] | None:
            by_id = {"_id": item_view_id(gallery_id, item_id), "siteId": site_id}
            head, found = await asyncio.gather(
                views.galleries.find_one({"_id": gallery_id, "siteId": site_id}, {"createdAt": 1}),
                views.items.find_one(within(self._database, by_id, galleryId=gallery_id)),
            )
            return None if head is None or found is None or not is_shown(head) else item_wire(found)

        return await self._read(read, lambda item: item is not None)

    async def get_items(self, names: AbstractSet[ItemName]) -> dict[ItemName, dict[str, Any]]:
        """Items of galleries that are known to be shown, by name; those that do not exist are left out."""

        async def read(views: _VersionCollections) -> dict[ItemName, dict[str, Any]]:
            by_id = {
                "_id": {"$in": [item_view_id(name.gallery_id, name.item_id) for name in names]},
                "siteId": {"$in": list({name.site_id for name in names})},
            }
            galleries = {"$in": list({name.gallery_id for name in names})}
            items = await views.items.find(within(self._database, by_id, galleryId=galleries)).to_list(None)
            found = {
                ItemName(document["siteId"], document["galleryId"], document["item"]["id"]): item_wire(document)
                for document in items
            }
            return {name: item for name, item in found.items() if name in names}

        return await self._read(read, lambda items: len(items) == len(names))

    async def sequence_of(self, site_id: str, gallery_id: str) -> int | None:
        """The sequence of a gallery's view, deleted galleries included; None if the site has no such view."""

        async def read(views: _VersionCollections) -> int | None:
            found = await views.galleries.find_one({"_id": gallery_id, "siteId": site_id}, {"sequence": 1})
            return None if found is None else int(found["sequence"])

        return await self._read(read, lambda sequence: sequence is not None)

    async def _read(self, read: Callable[[_VersionCollections], Awaitable[T]], is_whole: Callable[[T], bool]) -> T:
        """The result of `read` on the active version. If it is incomplete and the version was replaced, read again."""
        while True:
            version, views = self._cached or await self._look_up()
            try:
                result = await read(views)
            except PyMongoError as error:
                # A replaced version is dropped, even while it is being read.
                if is_dropped(error) and (await self._look_up())[0] != version:
                    continue
                raise
            if is_whole(result) or (await self._look_up())[0] == version:
                return result

    async def _look_up(self) -> tuple[int, _VersionCollections]:
        version = await self._versions.active()
        if self._cached is None or self._cached[0] != version:
            self._cached = version, _VersionCollections(self._database, version)
        return self._cached


async def _head(views: _VersionCollections, site_id: str, gallery_id: str) -> Document | None:
    found = await views.galleries.find_one({"_id": gallery_id, "siteId": site_id})
    return found if found is not None and is_shown(found) else None


async def _page(views: _VersionCollections, head: Document, item_limit: int, room: Room, reads: int) -> GalleryPage:
    # The items are read after the head, so that they are never older than the head's sequence.
    query = {"siteId": head["siteId"], "galleryId": head["_id"]}
    return _gallery_page(head, *await read_items(views.items, query, item_limit, 0, room, reads))


def _gallery_page(head: Document, items: list[dict[str, Any]], next_cursor: str | None) -> GalleryPage:
    return GalleryPage(gallery_wire(head), items, head["sequence"], head.get("gap"), next_cursor)


def _is_full(page: GalleryPage, limit: int, offset: int) -> bool:
    total: int = page.gallery["totalItems"]
    return len(page.items) >= min(limit, max(0, total - offset)) or page.next_cursor is not None
