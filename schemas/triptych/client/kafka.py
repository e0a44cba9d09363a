"""Owns how the client gets aiokafka, how it connects, and how it reads all partitions of a topic outside any group.

No other module of the client imports aiokafka, apart from the router for FastStream: the error names the extra.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from triptych.client.failures import KafkaUnavailable

try:
    from aiokafka import (
        AIOKafkaConsumer,
        AIOKafkaProducer,
        ConsumerRebalanceListener,
        ConsumerRecord,
        TopicPartition,
    )
    from aiokafka.errors import IllegalStateError, KafkaError, MessageSizeTooLargeError
except ImportError as missing:
    raise ImportError("This part of triptych.client needs aiokafka: pip install 'triptych[client]'") from missing

__all__ = [
    "AIOKafkaConsumer",
    "AIOKafkaProducer",
    "ConsumerRebalanceListener",
    "ConsumerRecord",
    "IllegalStateError",
    "KafkaError",
    "MessageSizeTooLargeError",
    "TopicPartition",
    "WholeTopic",
    "close_producer",
    "connection",
    "open_by",
]

# At level DEBUG, aiokafka logs whole requests, and those that authenticate contain passwords and tokens.
logging.getLogger("aiokafka.conn").addFilter(lambda record: record.levelno > logging.DEBUG)

METADATA_MAX_AGE_MS = 30_000
"""How long a client may not notice new partitions. `triptych partitions grow` waits ten times as long for producers."""

REQUEST_TIMEOUT_MS = 10_000
CLOSING_SECONDS = 5.0
PAUSE_SECONDS = 0.5


def connection(bootstrap_servers: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of any client of aiokafka; `options` are its own, for TLS and authentication."""
    return {
        "bootstrap_servers": bootstrap_servers,
        "client_id": "triptych-client",
        "metadata_max_age_ms": METADATA_MAX_AGE_MS,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        **options,
    }


async def open_by(deadline: float, where: str, connect: Callable[[], Awaitable[None]]) -> None:
    """Connect, again and again until it succeeds.

    Args:
        deadline: seconds that it may take.
        where: the addresses of Kafka, for the error.
        connect: raises KafkaError if it does not succeed, and leaves nothing behind then.

    Raises:
        KafkaUnavailable: it has not succeeded by the deadline; the error names the last reason.
    """
    ends = time.monotonic() + deadline
    error: KafkaError | None = None
    while True:
        try:
            async with asyncio.timeout(ends - time.monotonic()):
                await connect()
                return
        except TimeoutError:
            reason = f": {error}" if error else ""
            raise KafkaUnavailable(f"no answer of Kafka at {where} within {deadline:g} s{reason}") from error
        except KafkaError as failure:
            error = failure
            await asyncio.sleep(min(PAUSE_SECONDS, max(ends - time.monotonic(), 0)))


async def close_producer(producer: AIOKafkaProducer) -> None:
    """Close a producer. What a broker that is away has not taken is dropped after `CLOSING_SECONDS`."""
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            await producer.stop()
    except (KafkaError, TimeoutError):
        # A stop that is interrupted leaves a sender that retries for ever, and there is no public way to end it.
        await producer.client.close()
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await producer._sender.close()
        except (KafkaError, TimeoutError):
            pass


class WholeTopic:
    """Assigns every partition of a topic to a consumer, also those that are added later."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic

    async def require(self) -> None:
        """Raises KafkaError if there is no such topic, without creating one."""
        if self._topic not in await self._consumer.topics():
            raise KafkaError(f"topic {self._topic} does not exist")

    async def find(self) -> list[TopicPartition]:
        """The partitions of the topic, which must exist. Raises KafkaError."""
        # A consumer learns the partitions of topics that it reads.
        first = TopicPartition(self._topic, 0)
        self._consumer.assign([first])
        await self._consumer.end_offsets([first])
        return self.partitions()

    async def assign_ends(self) -> None:
        """Read what is published from now on. Raises KafkaError."""
        self.assign(await self._consumer.end_offsets(self.partitions() or await self.find()))

    def partitions(self) -> list[TopicPartition]:
        """The partitions of the topic as far as the consumer knows them."""
        known = self._consumer.partitions_for_topic(self._topic) or ()
        return [TopicPartition(self._topic, number) for number in sorted(known)]

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these partitions, from these offsets."""
        # No await between these calls: otherwise records at other offsets could be fetched.
        self._consumer.assign(list(offsets))
        for partition, offset in offsets.items():
            self._consumer.seek(partition, offset)

    async def add_new_partitions(self) -> None:
        """Read partitions that the topic has got since, from their beginning. Call it only between two reads."""
        assigned = self._consumer.assignment()
        added = [partition for partition in self.partitions() if partition not in assigned]
        if added:
            offsets = {partition: await self._consumer.position(partition) for partition in assigned}
            self.assign({**offsets, **dict.fromkeys(added, 0)})
