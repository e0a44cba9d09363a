"""A stand-in for the gateway's writes that records what is sent: the test decides when each command is answered."""

import asyncio
from typing import Any, cast

from triptych.contract.commands import CreateItems
from triptych.contract.item import NewItem
from triptych.contract.replies import ErrorCode, Reply, ReplyError
from triptych.gateway.http.errors import HttpFailure
from triptych.gateway.lines.chunking import Chunk, ParsedLine
from triptych.gateway.lines.sending import ChunkSender
from triptych.gateway.writing.read_your_writes import GalleryWaiter, Position
from triptych.gateway.writing.write_request import WriteRequest
from triptych.gateway.writing.writes import Writes

G = "10000000-0000-4000-8000-000000000000"
WRITE = WriteRequest("s", "/gateway/key", "bulk_create_lines", "key", "request", has_client_key=True, expected=(4,))


class FakeWrites:
    """Records what is sent; each command is published and answered when the test says so."""

    def __init__(self) -> None:
        self.sent: list[tuple[WriteRequest, CreateItems]] = []
        self.publications: list[asyncio.Future[bool] | None] = []
        self.replies: list[asyncio.Future[Reply | HttpFailure]] = []
        self.awaited: list[Position] = []
        self.is_automatic = True

    async def send_one(
        self, write: WriteRequest, data: CreateItems, published: asyncio.Future[bool] | None = None
    ) -> Reply | HttpFailure:
        self.sent.append((write, data))
        self.publications.append(published)
        self.replies.append(asyncio.get_running_loop().create_future())
        if published is not None and self.is_automatic:
            published.set_result(True)
        return await self.replies[-1]

    async def is_shown(self, _write: WriteRequest, _waiter: GalleryWaiter, position: Position) -> bool:
        self.awaited.append(position)
        return True

    def accept(self, number: int, sequence: int = 1) -> None:
        ids = [f"20000000-0000-4000-8000-{number:012d}"] * len(self.sent[number][1].items)
        reply = Reply(command_id="c", outcome="accepted", gallery_id=G, sequence=sequence, item_ids=ids)
        self.replies[number].set_result(reply)

    def reject(self, number: int, code: ErrorCode, **data: Any) -> None:
        error = ReplyError(code=code, message="no", data=data)
        self.replies[number].set_result(Reply(command_id="c", outcome="rejected", gallery_id=G, error=error))


def chunk(number: int, *sort_orders: float | None) -> Chunk:
    items = [NewItem.model_validate({"text": {"html": "x"}, "sortOrder": order}) for order in sort_orders or (None,)]
    return Chunk(number, [ParsedLine(10 * number + index, item) for index, item in enumerate(items, 1)])


def sender_of(writes: FakeWrites, waiter: GalleryWaiter | None = None) -> ChunkSender:
    return ChunkSender(cast("Writes", writes), WRITE, G, waiter or GalleryWaiter())


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)
