"""Shares among the floors what HTTP/1.1 costs at least: a server and a client of a few lines on asyncio's protocols.

Both expect a peer that sends each message with a Content-Length, and one request at a time on a connection.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

Respond = Callable[[bytes, bytes, bytes], Awaitable[bytes]]
"""Handles a request: method, path and body. The result is the body of the response, which is JSON."""


def messages_in(buffer: bytearray) -> Iterator[tuple[bytes, bytes]]:
    """Remove every complete message from the buffer; the head of each, and its body."""
    while (end := buffer.find(b"\r\n\r\n")) >= 0:
        head = bytes(buffer[:end])
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(buffer) < end + 4 + length:
            return
        body = bytes(buffer[end + 4 : end + 4 + length])
        del buffer[: end + 4 + length]
        yield head, body


class Protocol(asyncio.Protocol):
    """A connection that receives complete messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._buffer += data
        for head, body in messages_in(self._buffer):
            self.received(head, body)

    def received(self, head: bytes, body: bytes) -> None:
        """Handle a complete message."""
        raise NotImplementedError


class _ServerConnection(Protocol):
    def __init__(self, respond: Respond, tasks: set[asyncio.Task[None]]) -> None:
        super().__init__()
        self._respond = respond
        self._tasks = tasks

    def received(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        task = asyncio.create_task(self._answer(method, path, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, method: bytes, path: bytes, body: bytes) -> None:
        content = await self._respond(method, path, body)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(content), content)
        )


class ClientConnection(Protocol):
    """One connection to a server."""

    def __init__(self) -> None:
        super().__init__()
        self._response: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def open(cls, port: int) -> "ClientConnection":
        """Connect to a port of this machine."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a complete request; the status and the body of its response."""
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._response

    def received(self, head: bytes, body: bytes) -> None:
        """Hand over a response."""
        if self._response is not None:
            self._response.set_result((int(head[9:12]), body))


async def serve(port: int, respond: Respond) -> None:
    """Serve until killed."""
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _ServerConnection(respond, tasks), "127.0.0.1", port)
    await server.serve_forever()
