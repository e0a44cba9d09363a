"""Sends one command until it is answered or its deadline is over."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from triptych.client.commands.building import too_large
from triptych.client.commands.errors import CommandRejected, NoReply
from triptych.client.commands.replies import Replies
from triptych.client.kafka import KafkaError, MessageSizeTooLargeError
from triptych.contract.replies import Reply

FIRST_RETRY_SECONDS = 5.0
"""How long a reply may take before the command is sent again. Each further wait is twice as long."""

LONGEST_RETRY_SECONDS = 60.0
FAILURE_PAUSE_SECONDS = 0.5


class Attempts:
    """The attempts to deliver one command; `last_error` says why the last one failed, if it has."""

    def __init__(self, publish: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """`publish` publishes the command; it returns when Kafka has acknowledged it, and raises KafkaError."""
        self._publish = publish
        self.acknowledged = False
        self.last_error: Exception | None = None

    async def run(self) -> None:
        """Publish the command again and again until cancelled. Raises MessageSizeTooLargeError."""
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                await self._publish()
            except MessageSizeTooLargeError:
                raise
            except KafkaError as error:
                self.last_error = error
                await asyncio.sleep(FAILURE_PAUSE_SECONDS)
            else:
                self.acknowledged, self.last_error = True, None
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)


async def ask(
    replies: Replies,
    correlation_id: bytes,
    publish: Callable[[], Coroutine[Any, Any, object]],
    *,
    command_id: str,
    deadline: float,
) -> Reply:
    """Send a command until its reply is there; `deadline` is in seconds.

    Raises:
        CommandRejected: the command was refused.
        NoReply: there is no reply by the deadline.
    """
    attempts = Attempts(publish)
    with replies.expect(correlation_id) as answered:
        sending = asyncio.create_task(attempts.run())
        try:
            await asyncio.wait({answered, sending}, timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            await asyncio.wait({sending})
        if not answered.done():
            if not sending.cancelled() and isinstance(sending.exception(), MessageSizeTooLargeError):
                raise too_large(command_id)
            if not sending.cancelled() and (error := sending.exception()) is not None:
                raise error
            raise NoReply(command_id, attempts.acknowledged, _reason(attempts, replies, deadline))
        if answered.cancelled():
            raise NoReply(command_id, attempts.acknowledged, "Commands was closed before the reply came")
        reply = answered.result()
    if reply.outcome == "rejected":
        raise CommandRejected(reply)
    return reply


def _reason(attempts: Attempts, replies: Replies, deadline: float) -> str:
    if not attempts.acknowledged:
        reason = f"Kafka has not acknowledged it within {deadline:g} s"
        return f"{reason}: {attempts.last_error!r}" if attempts.last_error else reason
    if replies.problem is not None:
        return f"no reply within {deadline:g} s: replies cannot be read: {replies.problem!r}"
    return f"no reply within {deadline:g} s; is the command service running?"
