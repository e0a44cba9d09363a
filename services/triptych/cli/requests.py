"""Sends commands over Kafka and awaits their replies, any number at the same time."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from triptych.cli.waiting import AGAIN_SECONDS, FIRST_SECONDS
from triptych.contract.codec.envelope import CommandEnvelope, encode_command
from triptych.contract.topics import Topics
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.tail import TopicTail, tail
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.provision import require_topics

LOOK_SECONDS = 0.5


class NoReply(TransientFailure):
    """A command is on the topic, and no reply came in time. The command may still be carried out."""


class CommandRequests:
    """Made by `open_requests`."""

    def __init__(self, publisher: Publisher, commands_topic: str, patience_seconds: float) -> None:
        self._publisher = publisher
        self._topic = commands_topic
        self._patience = patience_seconds
        self._waiting: dict[bytes, asyncio.Future[Mapping[str, Any]]] = {}
        self._failure: Exception | None = None
        self._moved_at = time.monotonic()
        """When the last reply came, or the first of the waiting commands was sent."""

    async def ask(self, envelope: CommandEnvelope) -> Mapping[str, Any]:
        """Publish a command; its reply as a JSON object. Two commands must not wait with the same correlation id.

        Raises:
            NoReply: no reply came in time.
            RecordTooLarge: the command is too large for Kafka; it is not on the topic.
            TransientFailure: Kafka stopped answering.
        """
        if self._failure is not None:
            raise self._failure
        key = envelope.correlation_id.encode()
        answered: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            self._moved_at = time.monotonic()
        self._waiting[key] = answered
        message = encode_command(envelope)
        try:
            async with asyncio.timeout(self._patience):
                record = OutgoingRecord(self._topic, message.key, message.value, message.headers)
                await self._publisher.publish([record])
                return await answered
        except TimeoutError:
            raise NoReply(f"No reply within {self._patience:g} s. Is the command service running?") from None
        finally:
            del self._waiting[key]

    async def read(self, replies: TopicTail) -> None:
        """Pass on replies until cancelled. If reading fails, all waiting commands fail."""
        try:
            async for record in replies:
                answered = self._waiting.get(record.key)
                reply = read_reply(record.value)
                if answered is not None and reply is not None and not answered.done():
                    self._moved_at = time.monotonic()
                    answered.set_result(reply)
        except Exception as error:  # noqa: BLE001 - raised where a command waits
            self._failure = error
            for answered in self._waiting.values():
                if not answered.done():
                    answered.set_exception(error)

    async def announce(self) -> None:
        """Say on stderr when commands have waited for a while and no reply came, until cancelled."""
        said_at = 0.0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            if self._waiting and now >= max(self._moved_at + FIRST_SECONDS, said_at + AGAIN_SECONDS):
                said_at = now
                seconds = now - self._moved_at
                print(
                    f"triptych: no reply for {seconds:.0f} s; is the command service running?",
                    file=sys.stderr,
                    flush=True,
                )


def read_reply(value: bytes | None) -> Mapping[str, Any] | None:
    """The reply, or None if the value is not one: others may write to the topic too."""
    try:
        reply = orjson.loads(value or b"")
    except ValueError:
        return None
    return reply if isinstance(reply, dict) and "outcome" in reply else None


@asynccontextmanager
async def open_requests(settings: KitSettings, patience_seconds: float) -> AsyncIterator[CommandRequests]:
    """Connect to the topics of commands and replies. A reply may take up to `patience_seconds`.

    Raises:
        StartRefused: Kafka does not answer, or has no topics.
    """
    topics = Topics(settings.topic_prefix)
    await require_topics(settings, [topics.commands, topics.replies])
    publisher = Publisher(lambda: make_producer(settings), partitions=topics.counts(settings.topic_partitions))
    async with tail(settings, [topics.replies]) as replies:
        requests = CommandRequests(publisher, topics.commands, patience_seconds)
        tasks = [asyncio.create_task(requests.read(replies)), asyncio.create_task(requests.announce())]
        try:
            yield requests
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await publisher.stop()
