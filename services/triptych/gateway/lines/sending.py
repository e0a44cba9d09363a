"""Sends the chunks of one request as commands, in order and several at a time, and gives the outcome of each line."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from triptych.contract.commands import CreateItems
from triptych.contract.item import NewItem
from triptych.contract.replies import ErrorCode, Reply
from triptych.gateway.http.errors import ApplicationFailure, HttpFailure
from triptych.gateway.lines.chunking import Chunk
from triptych.gateway.lines.results import REPEAT, UNAVAILABLE, UNKNOWN, Ending, Outcome, outcomes_of, render
from triptych.gateway.writing.read_your_writes import GalleryWaiter, Position
from triptych.gateway.writing.rejections import raise_if_fails_all
from triptych.gateway.writing.write_request import WriteRequest
from triptych.gateway.writing.writes import COMMAND_ID_HEADER, Writes

IN_FLIGHT = 4
"""Chunks without an outcome. More would not be faster: the command service carries out one after another."""
SHOWN_BEHIND = 8
"""Chunks with an outcome that the read model may not show yet; so the end of a response never waits for many."""
_INTERNAL = 500


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The results of a chunk as lines of the response, and how many of them are successes and failures."""

    rendered: bytes
    successes: int
    failures: int


@dataclass(frozen=True, slots=True)
class _Sent:
    """A command on its way: its items by line, and its reply or failure to come."""

    items: Mapping[int, NewItem]
    is_placed: bool
    reply: "asyncio.Future[Reply | HttpFailure]"


class ChunkSender:
    """Sends the chunks of one request.

    A chunk is published after Kafka has acknowledged the one before, so that the items keep the order of their lines.
    After a chunk with an unknown outcome no other one is published: when the request is repeated, it would come first.

    Attributes:
        reached: the highest sequence of all replies; None before the first success.
        ending: why no further chunk can be sent, or None.
    """

    def __init__(self, writes: Writes, write: WriteRequest, gallery_id: str, waiter: GalleryWaiter) -> None:
        self._writes = writes
        self._write = write
        self._gallery_id = gallery_id
        self._waiter = waiter
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._is_first = True
        self._sequences: list[int] = []
        self.reached: int | None = None
        self.ending: Ending | None = None

    async def send(self, chunk: Chunk) -> "asyncio.Task[ChunkResult]":
        """Publish the commands of a chunk; the task gives its results.

        Raises:
            HttpFailure: the first command of the request was refused for all of them, or its outcome is not known.
        """
        await self._slots.acquire()
        sent: list[_Sent] = []
        try:
            # Items with a sort order come first, so that no default takes their sort order.
            for is_placed in (True, False):
                items = chunk.items(placed=is_placed)
                if items:
                    sent.append(await self._send(chunk.number, items, is_placed=is_placed))
        except BaseException:
            self._slots.release()
            raise
        return asyncio.create_task(self._finish(chunk, sent))

    async def keep_up(self) -> None:
        """Wait until the read model is at most `SHOWN_BEHIND` chunks behind, or up to the time limit of a write."""
        if len(self._sequences) > SHOWN_BEHIND and self._waiter.sequence < self._sequences[-SHOWN_BEHIND]:
            position = Position(self._gallery_id, self._sequences[-SHOWN_BEHIND])
            await self._writes.is_shown(self._write, self._waiter, position)

    async def _send(self, number: int, items: Mapping[int, NewItem], *, is_placed: bool) -> _Sent:
        if self._is_first:
            # It has the key itself, so that another request with this key is noticed; and the condition of the request.
            command = CreateItems(
                gallery_id=self._gallery_id, items=tuple(items.values()), to="end", **self._write.expectation
            )
            reply = await self._writes.send_one(self._write, command)
            raise_if_fails_all(reply)
            if isinstance(reply, HttpFailure) and reply.status >= _INTERNAL:
                raise HttpFailure(reply.status, {**reply.headers, COMMAND_ID_HEADER: self._write.command_id})
            self._is_first = False
            return _Sent(items, is_placed, _done(reply))
        if self.ending is not None:
            unsent = ApplicationFailure(503, UNAVAILABLE, REPEAT)
            return _Sent(items, is_placed, _done(unsent))
        part = _part(self._write, f"{number}/placed" if is_placed else str(number))
        published: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        sending = asyncio.create_task(self._writes.send_one(part, self._command(items), published))
        if not await published:
            outcome = await sending
            if isinstance(outcome, HttpFailure) and outcome.status >= _INTERNAL:
                self.ending = Ending(UNKNOWN)
        return _Sent(items, is_placed, sending)

    def _command(self, items: Mapping[int, NewItem]) -> CreateItems:
        return CreateItems(gallery_id=self._gallery_id, items=tuple(items.values()), to="end")

    async def _finish(self, chunk: Chunk, sent: list[_Sent]) -> ChunkResult:
        outcomes: dict[int, Outcome] = {}
        try:
            for one in sent:
                reply = await one.reply
                self._note(reply)
                if one.is_placed and len(one.items) > 1 and _has_taken_sort_order(reply):
                    outcomes |= await self._one_by_one(one.items)
                else:
                    outcomes |= outcomes_of(list(one.items), reply)
        finally:
            self._slots.release()
        rendered, successes = render(chunk, outcomes)
        return ChunkResult(rendered, successes, len(chunk.lines) - successes)

    async def _one_by_one(self, items: Mapping[int, NewItem]) -> dict[int, Outcome]:
        """Send each item alone, because one of them asks for a sort order that is taken."""
        parts = {line: _part(self._write, f"line/{line}") for line in items}
        replies = await asyncio.gather(
            *(self._writes.send_one(parts[line], self._command({line: item})) for line, item in items.items())
        )
        outcomes: dict[int, Outcome] = {}
        for line, reply in zip(items, replies, strict=True):
            self._note(reply)
            outcomes |= outcomes_of([line], reply)
        return outcomes

    def _note(self, reply: Reply | HttpFailure) -> None:
        if isinstance(reply, HttpFailure):
            if reply.status >= _INTERNAL:
                self.ending = self.ending or Ending(UNKNOWN)
        elif reply.error is not None:
            if reply.error.code is ErrorCode.NOT_FOUND:
                error = {"code": "NOT_FOUND", "description": reply.error.message, "data": dict(reply.error.data)}
                self.ending = self.ending or Ending(error)
        elif reply.sequence is not None:
            self._sequences = [*self._sequences[-SHOWN_BEHIND:], reply.sequence]
            self.reached = max(self.reached or 0, reply.sequence)


def _part(write: WriteRequest, name: str) -> WriteRequest:
    """The request of one of the write's commands, with an identity that follows from its place in the body alone."""
    return replace(
        write,
        source=f"{write.source}/lines/{name}",
        correlation_id=f"{write.correlation_id}/{name}",
        has_client_key=True,
        expected=None,
    )


def _has_taken_sort_order(reply: Reply | HttpFailure) -> bool:
    """Whether an item is to blame; a repetition of the whole is refused with this code too, but names no field."""
    if isinstance(reply, HttpFailure) or reply.error is None:
        return False
    return reply.error.code is ErrorCode.ALREADY_EXISTS and "field" in reply.error.data


def _done(reply: Reply | HttpFailure) -> "asyncio.Future[Reply | HttpFailure]":
    future: asyncio.Future[Reply | HttpFailure] = asyncio.get_running_loop().create_future()
    future.set_result(reply)
    return future
