"""Replaces how PyMongo sends a message and waits for the reply: PyMongo can lose a cancellation, and is slower.

PyMongo 4 starts two tasks for each reply: one reads, one looks twice a second whether the pool has given up the
connection. They cost 3 % of the time of a single write over HTTP. In Python before 3.12, PyMongo also loses a
cancellation that arrives together with the reply, so that whoever cancels and awaits a task waits for ever.

Here the task that asks also reads, and a timer looks. What PyMongo promises stays: `socketTimeoutMS`, `timeoutMS`, and
that a reply is not awaited on a connection that its pool has given up.
"""

import asyncio
import time
from typing import Any

from pymongo import _csot
from pymongo.asynchronous import pool
from pymongo.common import MAX_MESSAGE_SIZE
from pymongo.errors import ProtocolError, _OperationCancelled
from pymongo.message import _UNPACK_REPLY, _OpMsg

LOOK_SECONDS = 0.5


async def send(protocol: Any, message: bytes) -> None:
    """Write a message to the buffer of a connection, which never waits: so there is no limit of time."""
    await protocol.write(message)


async def receive(connection: Any, request_id: int | None, max_message_size: int = MAX_MESSAGE_SIZE) -> _OpMsg:
    """Wait for the reply to a request.

    Raises:
        TimeoutError: it has not come in time.
        _OperationCancelled: the pool has given up the connection.
        ProtocolError: it is not what the server should send.
    """
    watch = _Watch(connection)
    try:
        data, op_code = await connection.conn.get_conn.read(request_id, max_message_size)
    finally:
        watch.stop()
    unpack = _UNPACK_REPLY.get(op_code)
    if unpack is None:
        raise ProtocolError(f"Got opcode {op_code!r} but expected {_UNPACK_REPLY.keys()!r}")
    return unpack(data)


class _Watch:
    """Closes a connection at the deadline of its reply, or when the pool has given it up; its reader is told why.

    It is a class and not a function that refers to itself: such a function is a reference cycle, and the context of its
    timer kept every record of the current batch in memory until the next collection of cyclic garbage.
    """

    __slots__ = ("_connection", "_ends", "_loop", "_timer")

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._ends = _deadline(connection.conn.gettimeout)
        # Also without time left, a reply that has arrived is taken: the loop reads before it runs a timer.
        self._timer = self._look_later()

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self._connection.cancel_context.cancelled:
            self._close(_OperationCancelled("operation cancelled"))
        elif self._ends <= time.monotonic():
            self._close(TimeoutError("timed out"))
        else:
            self._timer = self._look_later()

    def _look_later(self) -> asyncio.TimerHandle:
        return self._loop.call_later(max(0.0, min(self._ends - time.monotonic(), LOOK_SECONDS)), self._look)

    def _close(self, error: Exception) -> None:
        protocol = self._connection.conn.get_conn
        if protocol._pending_messages:  # otherwise the reply has just come, and is taken
            protocol.close(error)


def _deadline(socket_seconds: float | None) -> float:
    """When a reply has to be there, by `time.monotonic`: by the limit of the operation if it has one."""
    if _csot.get_timeout():
        return _csot.get_deadline()
    return time.monotonic() + socket_seconds if socket_seconds else float("inf")


def install() -> None:
    """Make PyMongo use the functions of this module."""
    pool.async_sendall = send  # type: ignore[assignment, attr-defined]
    pool.async_receive_message = receive  # type: ignore[assignment, attr-defined]
