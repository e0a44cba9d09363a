"""Keeps what a read of items brings at once within a number of bytes.

A read leaves out items of more than their share of a small room, and tells how large those are; hardly ever there are
any. Only then it is given more room, and brings as many as fit, at least one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triptych.kit.mongo.driver import DESCENDING, Collection, Document, aggregate
from triptych.readmodel.cursors import write_cursor
from triptych.readmodel.documents import item_wire

SMALL_BYTES = 2 * 1024 * 1024
LARGE_BYTES = 8 * 1024 * 1024
"""More than 30 items of the largest size."""

MAX_OFFSET = 2**31 - 1
"""MongoDB refuses larger numbers; no site and no gallery reaches that far."""

_DISPLAY_ORDER = {"sortOrder": DESCENDING}
_SIZE = {"$bsonSize": "$item"}


@dataclass
class Room:
    """Bytes of items that a read may bring: at first, and if that does not do."""

    small_bytes: int = SMALL_BYTES
    large_bytes: int = LARGE_BYTES

    async def enlarge(self) -> None:
        """Called before the read brings more than `small_bytes`."""


ROOM = Room()


def light(share: int) -> Document:
    """The stage that gives items of at most `share` bytes, and of others the size."""
    is_light = {"$lte": [_SIZE, share]}
    return {
        "$project": {
            "_id": 0,
            "item": {"$cond": [is_light, "$item", "$$REMOVE"]},
            "size": {"$cond": [is_light, "$$REMOVE", _SIZE]},
        }
    }


def how_many_fit(found: Sequence[Document], share: int, max_bytes: int) -> int:
    """How many of the items that `light` gave, at least one, are not larger than `max_bytes` together."""
    total = 0
    for count, document in enumerate(found):
        total += document.get("size", share)
        if total > max_bytes:
            return max(1, count)
    return len(found)


async def read_items(
    items: Collection, query: Document, limit: int, offset: int, room: Room, sharers: int = 1
) -> tuple[list[dict[str, Any]], str | None]:
    """Items, and the cursor behind them if not all that were asked for fit into one of the equal parts of the room."""
    share = room.small_bytes // sharers // limit
    found = await aggregate(items, [*in_order(query, limit, offset), light(share)], at_once=limit + 1)
    return await weigh(items, found, query, offset, room, sharers, share)


def in_order(query: Document, limit: int, offset: int) -> list[Document]:
    """The stages that find items in display order."""
    return [
        {"$match": query},
        {"$sort": _DISPLAY_ORDER},
        {"$skip": min(offset, MAX_OFFSET)},
        {"$limit": limit},
    ]


async def weigh(
    items: Collection, found: list[Document], query: Document, offset: int, room: Room, sharers: int, share: int
) -> tuple[list[dict[str, Any]], str | None]:
    """What was found, or, if some items were too large for that, as many of them as fit."""
    if any("size" in document for document in found):
        await room.enlarge()
        fitting = how_many_fit(found, share, room.large_bytes // sharers)
        stages = [*in_order(query, fitting, offset), {"$project": {"_id": 0, "item": 1}}]
        fetched = await aggregate(items, stages, at_once=fitting + 1)
        is_cut, found = fitting < len(found), fetched
    else:
        is_cut = False
    wire = [item_wire(document) for document in found]
    return wire, write_cursor(wire[-1]["sortOrder"]) if is_cut and wire else None
