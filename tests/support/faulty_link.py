"""A TCP proxy between a service and MongoDB, Kafka or a receiver that delays, loses and swallows what goes through it.

The protocols of both servers send messages that begin with their length, so the proxy passes on whole messages, and a
rule can choose those whose answers are lost. HTTP goes through as it comes.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

from triptych.devstack.ports import LOOPBACK, free_ports

Protocol: TypeAlias = Literal["kafka", "mongo", "http"]
Chooses: TypeAlias = Callable[[bytes], bool]
"""Whether the fault concerns a request; it gets the whole message."""

_PRODUCE, _OFFSET_COMMIT = 0, 8
"""The keys of requests of Kafka's protocol: those that bring records, and those that commit offsets."""
_READ_BYTES = 64 * 1024


def commits(message: bytes) -> bool:
    """Whether a message asks MongoDB to commit a transaction."""
    return b"\x10commitTransaction\x00" in message


def brings_records(message: bytes) -> bool:
    """Whether a message brings records to Kafka."""
    return bool(struct.unpack_from(">h", message, 4)[0] == _PRODUCE)


def commits_offsets(message: bytes) -> bool:
    """Whether a message asks Kafka to commit offsets."""
    return bool(struct.unpack_from(">h", message, 4)[0] == _OFFSET_COMMIT)


def writes(message: bytes) -> bool:
    """Whether a message asks MongoDB to insert or update documents."""
    return b"\x02insert\x00" in message or b"\x02update\x00" in message


def anything(_message: bytes) -> bool:
    """Every request."""
    return True


class FaultyLink:
    """The proxy. Its faults concern connections that exist and, while the fault lasts, those that are made."""

    def __init__(self, protocol: Protocol, port: int, own_port: int | None = None) -> None:
        """`port` is that of the server; without a port of its own, the proxy takes a free one."""
        self._protocol = protocol
        self._target = port
        self.port = own_port or free_ports(1)[0]
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._delay = 0.0
        self._cuts_answers_to: Chooses | None = None
        self._is_swallowing = False
        self.struck = 0
        """How many requests or connections the fault has concerned since it began."""

    async def open(self) -> None:
        """Forward connections from now on."""
        self._server = await asyncio.start_server(self._connected, LOOPBACK, self.port)

    async def close(self) -> None:
        """End every connection, and accept no other."""
        if self._server is not None:
            self._server.close()
        for connection in set(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @asynccontextmanager
    async def slow(self, seconds: float) -> AsyncIterator[None]:
        """Pass every message on only after this time, during the block."""
        self.struck, self._delay = 0, seconds
        try:
            yield
        finally:
            self._delay = 0.0

    @asynccontextmanager
    async def losing_answers(self, chooses: Chooses) -> AsyncIterator[None]:
        """Deliver requests, but cut the connection instead of passing on the answers to those that `chooses` chooses.

        The server has done what was asked, and the client does not know.
        """
        self.struck, self._cuts_answers_to = 0, chooses
        try:
            yield
        finally:
            self._cuts_answers_to = None

    @asynccontextmanager
    async def swallowing(self) -> AsyncIterator[None]:
        """Take every byte and pass none on, in both directions.

        Connections that lived through the block stay dead: nobody resets them, and nothing ever comes through them.
        """
        self.struck, self._is_swallowing = 0, True
        try:
            yield
        finally:
            self._is_swallowing = False

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await _Connection(self, reader, writer).run()
        finally:
            self._connections.discard(task)
            writer.close()


class _Connection:
    """One connection of a client, with the one to the server behind it."""

    def __init__(self, link: FaultyLink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._link = link
        self._reader = reader
        self._writer = writer
        self._is_dead = False
        self._is_cut_at_answer = False

    async def run(self) -> None:
        """Pass messages on until one side ends the connection."""
        there_reader, there_writer = await asyncio.open_connection(LOOPBACK, self._link._target)
        pipes = {
            asyncio.create_task(self._pipe(self._reader, there_writer, is_request=True)),
            asyncio.create_task(self._pipe(there_reader, self._writer, is_request=False)),
        }
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
            there_writer.close()

    async def _pipe(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_request: bool) -> None:
        link = self._link
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                message = await self._message(source)
                if link._is_swallowing and not self._is_dead:
                    self._is_dead = True
                    link.struck += 1
                if self._is_dead:
                    continue
                if link._delay:
                    link.struck += 1
                    await asyncio.sleep(link._delay)
                if is_request and link._cuts_answers_to is not None and link._cuts_answers_to(message):
                    link.struck += 1
                    self._is_cut_at_answer = True
                elif not is_request and self._is_cut_at_answer:
                    return  # the server has answered, so it has done what was asked
                target.write(message)
                await target.drain()

    async def _message(self, source: asyncio.StreamReader) -> bytes:
        if self._link._protocol == "http":
            if chunk := await source.read(_READ_BYTES):
                return chunk
            raise asyncio.IncompleteReadError(b"", None)
        head = await source.readexactly(4)
        if self._link._protocol == "kafka":
            return head + await source.readexactly(struct.unpack(">i", head)[0])
        return head + await source.readexactly(struct.unpack("<i", head)[0] - 4)


@asynccontextmanager
async def faulty_link(protocol: Protocol, port: int, own_port: int | None = None) -> AsyncIterator[FaultyLink]:
    """A link that is open during the block."""
    made = FaultyLink(protocol, port, own_port)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
