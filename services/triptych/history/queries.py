"""Reads the history; every query is limited to one gallery of one site, and served by an index.

A page reads a bounded number of rows. If few of them belong to it, it is short, and its cursor continues behind them.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from triptych.contract.base import format_instant
from triptych.contract.codec.events import decode_event
from triptych.history.cursors import (
    ItemPosition,
    read_events_cursor,
    read_items_cursor,
    write_events_cursor,
    write_items_cursor,
)
from triptych.history.documents import (
    HISTORY_EVENTS,
    HISTORY_GALLERIES,
    OPEN,
    SNAPSHOT,
    Reach,
    reach_of,
    row_id,
)
from triptych.history.moments import Absence, Moment, NextRow, NotShown, absence_at
from triptych.history.retention import read_retention
from triptych.kit.chunks import by_weight
from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Database, Document, aggregate

EXAMINED_MAX = 2_000
"""The most rows that one page reads."""
PAGE_BYTES = 2 * 1024 * 1024
"""The most bytes of events in a page, unless the first one has more."""
_WHOLE = 0
"""The sequence in a cursor behind all rows of its sort order: only one of them can belong to a moment."""


class EventsPage(NamedTuple):
    """Events of a gallery in wire form, with the cursor of the next page if there may be one."""

    events: list[dict[str, Any]]
    next_cursor: str | None


class ItemsAt(NamedTuple):
    """Items of a gallery at a moment, in wire form, with the cursor of the next page if there may be one."""

    items: list[dict[str, Any]]
    next_cursor: str | None


class History:
    """The queries of the history. All of them raise the driver's errors when MongoDB is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._events = database[HISTORY_EVENTS]
        self._galleries = database[HISTORY_GALLERIES]

    async def reach(self, site_id: str, gallery_id: str) -> Reach | None:
        """How far the history of a gallery reaches; None if it has nothing of it.

        Raises:
            NotShown: the installation writes no history.
        """
        if await read_retention(self._database) is None:
            raise NotShown(Absence.OFF)
        found = await self._galleries.find_one({"_id": gallery_id, "siteId": site_id})
        return None if found is None else reach_of(found)

    async def events(
        self,
        site_id: str,
        gallery_id: str,
        limit: int,
        cursor: str | None = None,
        *,
        item_id: str | None = None,
        slug: str | None = None,
        is_newest_first: bool = True,
    ) -> EventsPage:
        """The events of a gallery, in order of sequence, as far as they are kept.

        Args:
            site_id, gallery_id: the gallery.
            limit: the most events in the page.
            cursor: of the page before; None for the first page.
            item_id: only events of this item.
            slug: only events of this type.
            is_newest_first: the order.

        Raises:
            InvalidCursor: the cursor is not one of `write_events_cursor`.
        """
        after = None if cursor is None else read_events_cursor(cursor)
        direction = DESCENDING if is_newest_first else ASCENDING
        beyond = None if after is None else ("$lt" if is_newest_first else "$gt")
        query: Document = {"galleryId": gallery_id, "siteId": site_id}
        if item_id is None:
            field = "_id"
            query["_id"] = {"$gt": row_id(gallery_id, 0), "$lt": row_id(gallery_id, OPEN)}
            if after is not None and beyond is not None:
                query["_id"] = {**query["_id"], beyond: row_id(gallery_id, after)}
        else:
            # In the order of `until`, which is that of the sequence for the rows of one item.
            field = "until"
            query["itemId"] = item_id
            if after is not None and beyond is not None:
                query["until"] = {"$lte": after} if is_newest_first else {"$gt": after}
                query["sequence"] = {beyond: after}
        wanted: Document = {"type": {"$ne": SNAPSHOT} if slug is None else slug}
        page = await self._page(query, [(field, direction)], wanted, limit)
        next_cursor = None if page.next_row is None else write_events_cursor(page.next_row["sequence"])
        return EventsPage([_event_wire(row) for row in page.rows], next_cursor)

    async def event(self, site_id: str, gallery_id: str, sequence: int) -> dict[str, Any] | None:
        """One event of a gallery, as in a page of `events`; None if it is not kept, or no history is written."""
        query = {"_id": row_id(gallery_id, sequence), "galleryId": gallery_id, "siteId": site_id}
        row = await self._events.find_one({**query, "type": {"$ne": SNAPSHOT}})
        return None if row is None else _event_wire(row)

    async def sequence_at(self, site_id: str, gallery_id: str, time: datetime | None) -> int:
        """The sequence of a gallery's last event up to a time; without a time, of the last one in the history.

        Raises:
            NotShown: the history does not reach back to this time, or the gallery was not there.
        """
        reach = await self._known(site_id, gallery_id)
        following = None if time is None else await self._first_after(reach, time)
        if following is None:
            return reach.sequence
        if following == 1:
            raise NotShown(Absence.NOT_THERE, 1, reach.sequence)
        return following - 1

    async def moment(self, site_id: str, gallery_id: str, sequence: int) -> Moment:
        """A gallery at a sequence.

        Raises:
            NotShown: it cannot be shown, with the reason.
        """
        reach = await self._known(site_id, gallery_id)
        retention = await read_retention(self._database)
        if retention is None:
            raise NotShown(Absence.OFF)
        following = None
        if sequence < reach.sequence:
            row = await self._events.find_one(
                {"_id": row_id(gallery_id, sequence + 1), "galleryId": gallery_id}, {"at": 1, "before": 1}
            )
            following = None if row is None else NextRow(row["at"], row["before"])
        absence = absence_at(reach, sequence, following, retention.trusted_since)
        if absence is not None:
            earliest = await self._earliest(reach, retention.trusted_since) if absence is Absence.NOT_KEPT else None
            raise NotShown(absence, earliest, reach.sequence)
        query = {"galleryId": gallery_id, "itemId": None, "until": {"$gt": sequence}, "siteId": site_id}
        head = await self._events.find_one(query, sort=[("until", ASCENDING)])
        if head is None or head["sequence"] > sequence or head["type"] == "deleted":
            raise NotShown(Absence.NOT_THERE, None, reach.sequence)
        total = reach.total if following is None else following.before
        return Moment(site_id, gallery_id, sequence, {**_content(head), "totalItems": total or 0})

    async def items(self, moment: Moment, limit: int, cursor: str | None = None) -> ItemsAt:
        """The items of a gallery at a moment, in display order.

        Raises:
            InvalidCursor: the cursor is not one of `write_items_cursor`.
        """
        query: Document = {
            "galleryId": moment.gallery_id,
            "siteId": moment.site_id,
            "sortOrder": {"$lte": float("inf")},
        }
        if cursor is not None:
            position = read_items_cursor(cursor)
            query["sortOrder"] = {"$lt" if position.sequence == _WHOLE else "$lte": position.sort_order}
            if position.sequence != _WHOLE:
                query["$or"] = [
                    {"sortOrder": {"$lt": position.sort_order}},
                    {"sequence": {"$lt": position.sequence}},
                ]
        wanted = {"sequence": {"$lte": moment.sequence}, "until": {"$gt": moment.sequence}}
        page = await self._page(query, [("sortOrder", DESCENDING), ("sequence", DESCENDING)], wanted, limit)
        if page.next_row is None:
            return ItemsAt([_content(row) for row in page.rows], None)
        sequence = _WHOLE if page.is_full else page.next_row["sequence"]
        next_cursor = write_items_cursor(ItemPosition(page.next_row["sortOrder"], sequence))
        return ItemsAt([_content(row) for row in page.rows], next_cursor)

    async def all_items(self, moment: Moment, at_once: int) -> AsyncIterator[list[dict[str, Any]]]:
        """All items of a gallery at a moment, in display order, in pages of up to `at_once`."""
        cursor = None
        while True:
            page = await self.items(moment, at_once, cursor)
            if page.items:
                yield page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _known(self, site_id: str, gallery_id: str) -> Reach:
        reach = await self.reach(site_id, gallery_id)
        if reach is None:
            raise NotShown(Absence.UNKNOWN)
        return reach

    async def _page(self, query: Document, order: list[tuple[str, int]], wanted: Document, limit: int) -> "_Page":
        """Up to `limit` rows that are wanted, among the first rows of the query."""
        bounded: list[Document] = [{"$match": query}, {"$sort": dict(order)}, {"$limit": EXAMINED_MAX}]
        shape = {"sequence": 1, "sortOrder": 1, "size": {"$binarySize": "$value"}}
        stages = [*bounded, {"$match": wanted}, {"$limit": limit + 1}, {"$project": shape}]
        found = await aggregate(self._events, stages)
        fitting = list(next(by_weight(found, [row["size"] for row in found], PAGE_BYTES), ()))[:limit]
        rows = await self._rows(query["galleryId"], [row["_id"] for row in fitting])
        if len(fitting) < len(found):
            return _Page(rows, True, fitting[-1])
        last = (
            await self._events.find(query, {"sequence": 1, "sortOrder": 1})
            .sort(order)
            .skip(EXAMINED_MAX - 1)
            .limit(1)
            .to_list(None)
        )
        return _Page(rows, False, last[0] if last else None)

    async def _rows(self, gallery_id: str, ids: Sequence[str]) -> list[Document]:
        """These rows, in this order, as far as they are still there."""
        found = await self._events.find({"_id": {"$in": list(ids)}, "galleryId": gallery_id}).to_list(None)
        by_id = {row["_id"]: row for row in found}
        return [by_id[id_] for id_ in ids if id_ in by_id]

    async def _first_after(self, reach: Reach, time: datetime, field: str = "at") -> int | None:
        """The sequence of a gallery's first event after a time, found by halves; None if there is none.

        Times of events rise with their sequences, apart from the differences between the clocks of owners.
        """
        low, high, found = 1, reach.sequence, None
        while low <= high:
            middle = (low + high) // 2
            query = {
                "galleryId": reach.gallery_id,
                "_id": {"$gte": row_id(reach.gallery_id, middle), "$lte": row_id(reach.gallery_id, high)},
            }
            row = await self._events.find_one(query, {"sequence": 1, field: 1}, sort=[("_id", ASCENDING)])
            if row is None:
                high = middle - 1
            elif row[field] > time:
                found, high = row["sequence"], middle - 1
            else:
                low = row["sequence"] + 1
        return found

    async def _earliest(self, reach: Reach, trusted_since: datetime) -> int | None:
        """The first sequence of a gallery that can be shown."""
        if reach.complete_from is None:
            return None
        first = await self._first_after(reach, trusted_since)
        return max(reach.complete_from, reach.sequence if first is None else first - 1)


class _Page(NamedTuple):
    """Rows of a page. `next_row` is the one that the next page follows; None if this page is the last one.

    If the page is full, that is its own last row, and otherwise the last of the rows that it has read.
    """

    rows: list[Document]
    is_full: bool
    next_row: Document | None


def _event_wire(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event of the history, as clients see it."""
    wire: dict[str, Any] = {"sequence": row["sequence"], "type": row["type"], "time": format_instant(row["at"])}
    for name in ("itemId", "commandId", "source"):
        if row.get(name) is not None:
            wire[name] = row[name]
    wire["event"] = orjson.Fragment(bytes(row["value"]))
    return wire


def _content(row: Mapping[str, Any]) -> dict[str, Any]:
    """The gallery or the item of a row, in wire form."""
    value = bytes(row["value"])
    if row["type"] == SNAPSHOT:
        record = orjson.loads(value)
        content: dict[str, Any] = record["gallery"] if row["itemId"] is None else record["item"]
    else:
        content = decode_event(value).body
    content.pop("items", None)
    return content
