"""Streams responses with more items than one response may hold in memory: reads and sends them page by page.

The contract's pages by offset must be complete. A client that gets fewer items than it asked for takes that as the end
of the list, or continues after the items that it did not get.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response, StreamingResponse

from triptych.readmodel.queries import ALL, ItemFilter, Views
from triptych.readmodel.weighing import Room


@dataclass(frozen=True, slots=True)
class RemainingItems:
    """The items that follow the first page of a response: up to `count`, from `cursor` on."""

    views: Views
    site_id: str
    gallery_id: str
    cursor: str | None
    count: int
    room: Room
    item_filter: ItemFilter = ALL

    async def pages(self) -> AsyncGenerator[list[dict[str, Any]]]:
        """The items, in pages that fit into the room."""
        cursor, count = self.cursor, self.count
        while cursor is not None and count > 0:
            page = await self.views.list_items_after(
                self.site_id, self.gallery_id, count, cursor, self.item_filter, self.room
            )
            if page is None:
                return  # the gallery and the remaining items were deleted meanwhile
            cursor, count = page.next_cursor, count - len(page.items)
            yield page.items


def stream_gallery(gallery: dict[str, Any], first: list[dict[str, Any]], remaining: RemainingItems) -> Response:
    """The response of getGallery: the gallery with the first items, then the remaining items."""
    return _stream(b'{"gallery":%b,"items":[' % orjson.dumps(gallery)[:-1], first, remaining, b"]}}")


def stream_items(first: list[dict[str, Any]], remaining: RemainingItems) -> Response:
    """The response of listGalleryItems: the first items, then the remaining items."""
    return _stream(b'{"items":[', first, remaining, b"]}")


def _stream(opening: bytes, first: list[dict[str, Any]], remaining: RemainingItems, closing: bytes) -> Response:
    async def body() -> AsyncIterator[bytes]:
        separator = opening
        for item in first:
            yield separator + orjson.dumps(item)
            separator = b","
        async with aclosing(remaining.pages()) as pages:
            async for items in pages:
                for item in items:
                    yield separator + orjson.dumps(item)
                    separator = b","
        yield closing

    # No ETag: it would have to be known before the items are read.
    return StreamingResponse(body(), media_type="application/json")
