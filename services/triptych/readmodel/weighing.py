"""Bounds the bytes of items that one read returns.

A read first returns the items that do not exceed their share of a small room, and the sizes of the other items. There
are hardly ever any. If there are, the room is enlarged, and the read returns as many items as fit, at least one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triptych.kit.chunks import by_weight
from triptych.kit.mongo.driver import DESCENDING, Collection, Document, aggregate
from triptych.readmodel.cursors import write_cursor
from triptych.readmodel.documents import item_wire

SMALL_BYTES = 2 * 1024 * 1024
LARGE_BYTES = 8 * 1024 * 1024
"""More than 30 items of the largest size."""

MAX_OFFSET = 2**31 - 1
"""MongoDB refuses larger offsets. No site has as many galleries, and no gallery as many items."""

_DISPLAY_ORDER = {"sortOrder": DESCENDING}
_SIZE = {"$bsonSize": "$item"}


@dataclass
class Room:
    """The bytes of items that a read may return: first `small_bytes`, and `large_bytes` if some items are too large."""

    small_bytes: int = SMALL_BYTES
    large_bytes: int = LARGE_BYTES

    async def enlarge(self) -> None:
        """Called before the read returns more than `small_bytes`."""


ROOM = Room()


def small_items_stage(share: int) -> Document:
    """The stage that returns each item of at most `share` bytes, and only the size of each larger item."""
    is_small = {"$lte": [_SIZE, share]}
    return {
        "$project": {
            "_id": 0,
            "item": {"$cond": [is_small, "$item", "$$REMOVE"]},
            "size": {"$cond": [is_small, "$$REMOVE", _SIZE]},
        }
    }


def count_fitting_items(found: Sequence[Document], share: int, max_bytes: int) -> int:
    """How many of the results of `small_items_stage` fit into `max_bytes` together: at least one."""
    sizes = [document.get("size", share) for document in found]
    return len(next(by_weight(found, sizes, max_bytes), ()))


async def read_items(
    items: Collection, query: Document, limit: int, offset: int, room: Room, reads: int = 1
) -> tuple[list[dict[str, Any]], str | None]:
    """Read items into one of `reads` equal shares of the room.

    Returns:
        The items in wire form, and the cursor of the following page if not all requested items fit.
    """
    share = room.small_bytes // reads // limit
    found = await aggregate(
        items, [*display_order_stages(query, limit, offset), small_items_stage(share)], at_once=limit + 1
    )
    return await fit_into_room(items, found, query, offset, room, reads, share)


def display_order_stages(query: Document, limit: int, offset: int) -> list[Document]:
    """The stages that find items and return them in display order."""
    return [
        {"$match": query},
        {"$sort": _DISPLAY_ORDER},
        {"$skip": min(offset, MAX_OFFSET)},
        {"$limit": limit},
    ]


async def fit_into_room(
    items: Collection, found: list[Document], query: Document, offset: int, room: Room, reads: int, share: int
) -> tuple[list[dict[str, Any]], str | None]:
    """The items found, or, if some exceed their share, as many as fit into the enlarged room. See `read_items`."""
    if any("size" in document for document in found):
        await room.enlarge()
        fitting = count_fitting_items(found, share, room.large_bytes // reads)
        stages = [*display_order_stages(query, fitting, offset), {"$project": {"_id": 0, "item": 1}}]
        fetched = await aggregate(items, stages, at_once=fitting + 1)
        is_cut, found = fitting < len(found), fetched
    else:
        is_cut = False
    wire = [item_wire(document) for document in found]
    return wire, write_cursor(wire[-1]["sortOrder"]) if is_cut and wire else None
