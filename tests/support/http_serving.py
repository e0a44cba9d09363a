"""Runs the HTTP server with an app of its own, for tests of what it does to its clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.support.plain_http import listening_socket
from tests.support.waiting import eventually
from triptych.kit.process.http_bounds import Bounds
from triptych.kit.process.http_protocol import LONG_BODY
from triptych.kit.process.http_server import Server, make_server

LONG = 30.0
BOUNDS = Bounds(
    head_bytes=8_192,
    head_fields=50,
    head_seconds=LONG,
    body_seconds=LONG,
    idle_seconds=LONG,
    write_seconds=LONG,
    connections=100,
    connections_per_address=100,
)
GET = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n"
MEGABYTE = 1024 * 1024


class App:
    """Responds with the length of the body: `/big` after 20 MB, `/wait` after `go` is set.

    `/duplex` gives its client more time after each piece of the body, and responds with as much as `echo` for each.
    """

    echo = 1

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.running = 0

    async def is_full(self) -> bool:
        """Whether five requests are in progress."""
        return self.running == 5

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one request."""
        self.running += 1
        try:
            if scope["path"] == "/duplex":
                await self._converse(scope, receive, send)
                return
            body, more = b"", True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body, more = body + message["body"], message["more_body"]
            if scope["path"] == "/wait":
                await self.go.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(20 * 16 if scope["path"] == "/big" else 0):
                await send({"type": "http.response.body", "body": bytes(MEGABYTE // 16), "more_body": True})
            await send({"type": "http.response.body", "body": b"%d." % len(body), "more_body": False})
        finally:
            self.running -= 1

    async def _converse(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        answered = asyncio.Queue[bytes | None]()

        async def answer() -> None:
            while (block := await answered.get()) is not None:
                for start in range(0, len(block), MEGABYTE // 16):
                    part = block[start : start + MEGABYTE // 16]
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"end.", "more_body": False})

        answering = asyncio.create_task(answer())
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                answering.cancel()
                return
            scope["extensions"][LONG_BODY]["renew"]()
            answered.put_nowait(bytes(self.echo))
            more = message["more_body"]
        answered.put_nowait(None)
        await answering


@dataclass
class Running:
    """A running server, with methods of its clients."""

    server: Server
    app: App
    port: int

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self.server.server_state.connections)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which nothing has been sent."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, *blocks: bytes, count: int = 0) -> bytes:
        """Send these bytes; what the server sends until it closes, or until `count` responses have come."""
        reader, writer = await self.connect()
        try:
            for block in blocks:
                writer.write(block)
                await writer.drain()
            return await read_answers(reader, count)
        except ConnectionError:
            return await read_answers(reader, count)
        finally:
            writer.close()


async def read_answers(reader: asyncio.StreamReader, count: int = 0) -> bytes:
    """What the server sends until it closes, or until `count` responses have come."""
    received = b""
    async with asyncio.timeout(20):
        while not count or received.count(b"\r\n0\r\n\r\n") < count:
            try:
                block = await reader.read(MEGABYTE)
            except ConnectionError:
                break
            if not block:
                break
            received += block
    return received


@asynccontextmanager
async def serving(**changed: Any) -> AsyncIterator[Running]:
    """A running server with these bounds changed."""
    app, listener = App(), listening_socket(backlog=500)
    server = make_server(app, replace(BOUNDS, **changed), host="127.0.0.1", port=0, graceful_seconds=1)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await eventually(lambda: asyncio.sleep(0, server.started), "the server runs")
        yield Running(server, app, listener.getsockname()[1])
    finally:
        app.go.set()
        server.should_exit = True
        await task
