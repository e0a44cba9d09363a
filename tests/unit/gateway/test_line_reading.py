"""A request with lines is read no further than its bounds, its client and its process allow, and never in parts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from starlette.requests import ClientDisconnect, Request

from tests.support.fake_writes import WRITE, FakeWrites, G, chunk, settle
from triptych.gateway.http.errors import ApplicationFailure, HttpFailure
from triptych.gateway.lines import conversation
from triptych.gateway.lines.chunking import Chunk
from triptych.gateway.lines.conversation import LinesResponse
from triptych.gateway.lines.reading import ChunkReader
from triptych.gateway.lines.slots import LineSlots
from triptych.gateway.settings import GatewaySettings
from triptych.gateway.writing.read_your_writes import GalleryWaiters
from triptych.gateway.writing.writes import Writes
from triptych.kit.process.http_protocol import LONG_BODY
from triptych.kit.process.stopping import StopDeadline, set_stop_deadline

LINE = b'{"text":{"html":"x"}}\n'


class Body:
    """Plays a client: each message is a piece of the body, or the end of the connection."""

    def __init__(self, *pieces: bytes | None, is_whole: bool = True) -> None:
        self._pieces = list(pieces)
        self._is_whole = is_whole
        self.renewed = 0
        self.waits = asyncio.Event()

    async def receive(self) -> Any:
        if not self._pieces:
            if self._is_whole:
                return {"type": "http.request", "body": b"", "more_body": False}
            self.waits.set()
            await asyncio.Event().wait()
        piece = self._pieces.pop(0)
        return (
            {"type": "http.disconnect"} if piece is None else {"type": "http.request", "body": piece, "more_body": True}
        )

    def renew(self) -> None:
        self.renewed += 1

    def reader(self, **fields: Any) -> ChunkReader:
        scope = {
            "type": "http",
            "headers": [(b"content-type", b"application/x-ndjson; charset=utf-8")],
            "extensions": {LONG_BODY: {"renew": self.renew}},
        }
        return ChunkReader(Request(scope, self.receive), GatewaySettings(**fields))


async def read(reader: ChunkReader) -> tuple[list[int], BaseException | None]:
    """The sizes of the chunks, and why there are no more."""
    sizes: list[int] = []
    try:
        async for found in reader.chunks():
            sizes.append(len(found.lines))
    except (HttpFailure, ClientDisconnect) as error:
        return sizes, error
    return sizes, None


async def test_each_chunk_gives_the_client_more_time() -> None:
    body = Body(LINE * 700, LINE * 700)
    assert await read(body.reader()) == ([500, 500, 400], None)
    assert body.renewed == 2


async def test_an_interrupted_body_has_no_incomplete_chunk() -> None:
    sizes, error = await read(Body(LINE * 700, LINE[:5], None).reader())
    assert (sizes, type(error)) == ([500], ClientDisconnect)


async def test_the_last_chunk_of_too_many_lines_is_complete() -> None:
    sizes, error = await read(Body(LINE * 700).reader(gateway_lines_count=600))
    assert isinstance(error, ApplicationFailure)
    assert (sizes, error.status) == ([500, 100], 413)


@pytest.mark.parametrize("cut", [1, 500 * len(LINE), 600 * len(LINE)])
async def test_too_many_bytes_end_after_the_same_chunk_however_they_arrive(cut: int) -> None:
    data = LINE * 700
    sizes, error = await read(Body(data[:cut], data[cut:]).reader(gateway_lines_bytes=600 * len(LINE)))
    assert isinstance(error, ApplicationFailure)
    assert (sizes, error.status) == ([500], 413)


async def test_a_slow_client_ends_with_the_time_of_the_request() -> None:
    sizes, error = await read(Body(LINE * 700, is_whole=False).reader(gateway_lines_timeout=0.2))
    assert isinstance(error, ApplicationFailure)
    assert (sizes, error.status, error.error["code"]) == ([500], 408, "DEADLINE_EXCEEDED")


async def test_a_process_that_stops_reads_no_more() -> None:
    deadline, body = StopDeadline(), Body(LINE * 700, is_whole=False)
    set_stop_deadline(deadline)
    reading = asyncio.create_task(read(body.reader()))
    await body.waits.wait()
    deadline.begin()
    sizes, error = await reading
    assert isinstance(error, HttpFailure)
    assert (sizes, error.status) == ([500], 503)


class Chunks:
    """Plays the reader: counts the chunks that it was asked for."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.given = 0

    async def chunks(self) -> AsyncIterator[Chunk]:
        for number in range(self._count):
            self.given += 1
            yield chunk(number)

    def go_on(self) -> None: ...


class Accepting(FakeWrites):
    """Accepts every command at once."""

    async def send_one(self, write: Any, data: Any, published: Any = None) -> Any:
        sending = asyncio.ensure_future(super().send_one(write, data, published))
        await asyncio.sleep(0)
        self.accept(len(self.sent) - 1, len(self.sent))
        return await sending

    def watch(self, _site_id: str, _gallery_id: str) -> Any:
        return GalleryWaiters().watch("s", G)


async def test_a_client_that_receives_nothing_stops_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "UNREAD_BYTES_MAX", 500)
    chunks, writes, slots, receives = Chunks(100), Accepting(), LineSlots(1), asyncio.Event()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        await receives.wait()
        sent.append(message)

    response = LinesResponse(cast("ChunkReader", chunks), slots, cast("Writes", writes), WRITE, G)
    answering = asyncio.create_task(response({}, cast("Any", None), send))
    for _ in range(50):
        await settle()
    assert 1 < chunks.given < 20
    receives.set()
    await answering
    assert chunks.given == 100
    assert b"".join(message.get("body", b"") for message in sent).count(b'"status":200') == 100
    assert not sent[-1]["more_body"]
    with slots.taken():
        pass
