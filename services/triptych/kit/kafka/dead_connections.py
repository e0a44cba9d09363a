"""Closes a connection to Kafka that has died, whatever the request was that notices it.

aiokafka closes a connection without an answer only after the requests of `AIOKafkaClient.send`. Metadata is asked for
without that method. On a connection that a firewall or a router has forgotten, every such request would wait in vain,
until the connection has been idle for nine minutes; and without metadata, the client sends nothing else that would
close it.

A connection that the broker has just broken looks open for a moment. asyncio's own loop ignores what is written to it,
and uvloop raises RuntimeError, for which aiokafka is not prepared: it ends the task that sends heartbeats, and the
consumer never reads again.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

from triptych.kit.kafka.silent_brokers import note_answer, note_silence

_send = AIOKafkaConnection.send


def send(connection: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Awaitable[Any]:
    """As `AIOKafkaConnection.send`, but a request that is not answered in time closes the connection.

    Raises:
        TimeoutError: it was not answered in time.
        KafkaError: as `AIOKafkaConnection.send`.
    """
    try:
        answer: Awaitable[Any] = _send(connection, request, expect_response)
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {connection.host}:{connection.port} broken: {error}") from error
    return _answered(connection, answer) if expect_response else answer


async def _answered(connection: AIOKafkaConnection, answer: Awaitable[Any]) -> Any:
    try:
        answered = await answer
    except TimeoutError:
        note_silence(connection.host, connection.port)
        # Later, because `AIOKafkaClient.send` looks the connection up in order to close it too.
        asyncio.get_running_loop().call_soon(_close, connection)
        raise
    note_answer(connection.host, connection.port)
    return answered


def _close(connection: AIOKafkaConnection) -> None:
    connection.close(reason=CloseReason.CONNECTION_TIMEOUT)


def install() -> None:
    """Let every connection of aiokafka send like this."""
    AIOKafkaConnection.send = send
