"""Answers with more items than are held at a time: read and sent part by part, complete.

The contract's pages by offset have to be complete: a client that meets fewer items than it asked for takes that for
the end, or goes on behind those it did not get.
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
class Rest:
    """The items behind the first ones of an answer: up to `count`, from `cursor` on."""

    views: Views
    site_id: str
    gallery_id: str
    cursor: str | None
    count: int
    room: Room
    wanted: ItemFilter = ALL

    async def parts(self) -> AsyncGenerator[list[dict[str, Any]]]:
        """Them, as many at a time as there is room for."""
        cursor, count = self.cursor, self.count
        while cursor is not None and count > 0:
            page = await self.views.list_items_after(
                self.site_id, self.gallery_id, count, cursor, self.wanted, self.room
            )
            if page is None:
                return  # deleted meanwhile, with all that is left
            cursor, count = page.next_cursor, count - len(page.items)
            yield page.items


def stream_gallery(gallery: dict[str, Any], first: list[dict[str, Any]], rest: Rest) -> Response:
    """The answer of getGallery: the gallery with the first items, then with the rest."""
    return _stream(b'{"gallery":%b,"items":[' % orjson.dumps(gallery)[:-1], first, rest, b"]}}")


def stream_items(first: list[dict[str, Any]], rest: Rest) -> Response:
    """The answer of listGalleryItems: the first items, then the rest."""
    return _stream(b'{"items":[', first, rest, b"]}")


def _stream(opening: bytes, first: list[dict[str, Any]], rest: Rest, closing: bytes) -> Response:
    async def body() -> AsyncIterator[bytes]:
        before = opening
        for item in first:
            yield before + orjson.dumps(item)
            before = b","
        async with aclosing(rest.parts()) as parts:
            async for items in parts:
                for item in items:
                    yield before + orjson.dumps(item)
                    before = b","
        yield closing

    # Without an ETag, which would have to be known before the items.
    return StreamingResponse(body(), media_type="application/json")
