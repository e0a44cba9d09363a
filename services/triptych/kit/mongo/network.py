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
    ends = _deadline(connection.conn.gettimeout)
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        left = ends - time.monotonic()
        if left <= 0 or connection.cancel_context.cancelled:
            limit.reschedule(loop.time())
        else:
            timer = loop.call_later(min(left, LOOK_SECONDS), look)

    try:
        async with asyncio.timeout(None) as limit:
            # Also without time left, a reply that has arrived is taken: the loop reads before it runs a timer.
            timer = loop.call_later(max(0.0, min(ends - time.monotonic(), LOOK_SECONDS)), look)
            try:
                data, op_code = await connection.conn.get_conn.read(request_id, max_message_size)
            finally:
                timer.cancel()
    except TimeoutError:
        if not limit.expired():
            raise
        if connection.cancel_context.cancelled:
            raise _OperationCancelled("operation cancelled") from None
        raise TimeoutError("timed out") from None
    unpack = _UNPACK_REPLY.get(op_code)
    if unpack is None:
        raise ProtocolError(f"Got opcode {op_code!r} but expected {_UNPACK_REPLY.keys()!r}")
    return unpack(data)


def _deadline(socket_seconds: float | None) -> float:
    """When a reply has to be there, by `time.monotonic`: by the limit of the operation if it has one."""
    if _csot.get_timeout():
        return _csot.get_deadline()
    return time.monotonic() + socket_seconds if socket_seconds else float("inf")


def install() -> None:
    """Make PyMongo use the functions of this module."""
    pool.async_sendall = send  # type: ignore[assignment, attr-defined]
    pool.async_receive_message = receive  # type: ignore[assignment, attr-defined]
