"""Answers a request with lines while it still arrives: reads and sends chunks, and writes their results in order."""

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from triptych.contract.base import ViolatedRule
from triptych.contract.replies import Violation
from triptych.gateway.http.errors import ApplicationFailure, HttpFailure, InvalidRequest
from triptych.gateway.lines.reading import MEDIA_TYPES, ChunkReader
from triptych.gateway.lines.results import UNKNOWN, Ending, render_end
from triptych.gateway.lines.sending import ChunkResult, ChunkSender
from triptych.gateway.lines.slots import LineSlots
from triptych.gateway.writing.read_your_writes import GalleryWaiter, Position
from triptych.gateway.writing.write_request import WriteRequest
from triptych.gateway.writing.writes import COMMAND_ID_HEADER, Writes
from triptych.kit.failures import Fault, fault_of
from triptych.kit.mongo.driver import PyMongoError

UNREAD_BYTES_MAX = 8 * 1024 * 1024
"""Results that a client has not received. A client may send up to that many before it reads the first one."""


class LinesResponse(Response):
    """The response to one request; it begins with the outcome of the first chunk."""

    def __init__(
        self, reader: ChunkReader, slots: LineSlots, writes: Writes, write: WriteRequest, gallery_id: str
    ) -> None:
        super().__init__(media_type=MEDIA_TYPES[0])
        self._reader = reader
        self._slots = slots
        self._writes = writes
        self._write = write
        self._gallery_id = gallery_id
        # None ends it. It is bounded by the chunks in flight and by the room for results.
        self._results: asyncio.Queue[asyncio.Task[ChunkResult] | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[ChunkResult]] = []
        self._unread_bytes = 0
        self._room = asyncio.Event()
        self._ending: Ending | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response.

        Raises:
            HttpFailure: the request as a whole is refused; no response has begun.
            ClientDisconnect: the client has gone. What was sent to the command service is carried out.
        """
        del scope, receive  # the reader has them
        with self._slots.taken(), self._writes.watch(self._write.site_id, self._gallery_id) as waiter:
            sender = ChunkSender(self._writes, self._write, self._gallery_id, waiter)
            reading = asyncio.create_task(self._read(sender))
            try:
                await self._answer(sender, waiter, reading, send)
            finally:
                for task in (reading, *self._tasks):
                    task.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await task

    async def _read(self, sender: ChunkSender) -> None:
        is_begun = False
        try:
            async for chunk in self._reader.chunks():
                await self._until_there_is_room()
                await sender.keep_up()
                task = await sender.send(chunk)
                is_begun = True
                task.add_done_callback(self._note_result)
                self._tasks = [*(one for one in self._tasks if not one.done()), task]
                self._results.put_nowait(task)
                self._reader.go_on()
                if sender.ending is not None:
                    break
        except HttpFailure as failure:
            if not is_begun:
                raise
            self._ending = Ending(failure.error if isinstance(failure, ApplicationFailure) else UNKNOWN)
            if isinstance(failure, InvalidRequest):
                self._ending = Ending(
                    {"code": "INVALID_ARGUMENT", "description": failure.body()["message"], "data": {}}
                )
        finally:
            self._results.put_nowait(None)

    async def _answer(
        self, sender: ChunkSender, waiter: GalleryWaiter, reading: "asyncio.Task[None]", send: Send
    ) -> None:
        task = await self._results.get()
        if task is None:
            await reading
            description = "must have at least one line"
            raise InvalidRequest([Violation(field="", description=description, violated_rule=ViolatedRule.MIN_SIZE)])
        self.headers[COMMAND_ID_HEADER] = self._write.command_id
        self.headers["X-Accel-Buffering"] = "no"  # nginx would keep the results until the end
        del self.headers["content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        successes = failures = 0
        while task is not None:
            result = await task
            successes, failures = successes + result.successes, failures + result.failures
            await send({"type": "http.response.body", "body": result.rendered, "more_body": True})
            self._unread_bytes -= len(result.rendered)
            self._room.set()
            task = await self._results.get()
        await reading
        position = None if sender.reached is None else Position(self._gallery_id, sender.reached)
        is_shown = position is None or await self._is_shown(waiter, position)
        end = render_end(successes, failures, position, is_shown=is_shown, ending=self._ending or sender.ending)
        await send({"type": "http.response.body", "body": end, "more_body": False})

    async def _is_shown(self, waiter: GalleryWaiter, position: Position) -> bool:
        try:
            return await self._writes.is_shown(self._write, waiter, position)
        except PyMongoError as error:
            if fault_of(error) is Fault.OURS:
                raise
            return False

    def _note_result(self, task: "asyncio.Task[ChunkResult]") -> None:
        if not task.cancelled() and task.exception() is None:
            self._unread_bytes += len(task.result().rendered)

    async def _until_there_is_room(self) -> None:
        while self._unread_bytes > UNREAD_BYTES_MAX:
            self._room.clear()
            await self._room.wait()
