"""A port that answers only while it is open; then it forwards connections to a real server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from triptych.devstack.ports import LOOPBACK, free_ports


class LatePort:
    """A TCP proxy that starts later than its clients, or ends before them. It may be opened again."""

    def __init__(self, host: str, port: int, own_port: int | None = None) -> None:
        """`host` and `port` are those of the real server; without a port of its own, the proxy takes a free one."""
        self._target = (host, port)
        self.port = own_port or free_ports(1)[0]
        self.address = f"{LOOPBACK}:{self.port}"
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Forward connections from now on."""
        self._server = await asyncio.start_server(self._connected, LOOPBACK, self.port)

    async def close(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Let nobody through during the block."""
        await self.close()
        try:
            yield
        finally:
            await self.open()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        for source, target in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(_pipe(source, target))
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        try:
            while data := await source.read(64 * 1024):
                target.write(data)
                await target.drain()
        finally:
            target.close()


@asynccontextmanager
async def late_port(address: str) -> AsyncIterator[LatePort]:
    """A port that can forward to `address`, which is `host:port`; it is closed at the end of the block."""
    host, _, port = address.rpartition(":")
    made = LatePort(host, int(port))
    try:
        yield made
    finally:
        await made.close()
