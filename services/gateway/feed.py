"""Hears every record of one topic from now on, for as long as the process runs."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from services.kit.settings import KitSettings
from services.kit.tail import tail

log = logging.getLogger(__name__)

Record: TypeAlias = ConsumerRecord[Any, Any]
Hear: TypeAlias = Callable[[Record], None]
POLL_MS = 1_000
PAUSE_SECONDS = 0.5
TOGETHER_BYTES = 256 * 1024
"""More than this is not waited for."""


class Feed:
    """A running feed.

    Attributes:
        consumer: of one topic, all partitions.
        problem: why nothing is heard, None if all is well.
    """

    def __init__(self, topic: str, consumer: AIOKafkaConsumer, hear: Hear) -> None:
        self._topic = topic
        self._hear = hear
        self.consumer = consumer
        self.problem: str | None = None

    async def positions(self) -> dict[int, int]:
        """The offset of the next record to hear, by partition."""
        return {place.partition: await self.consumer.position(place) for place in self.consumer.assignment()}

    async def run(self) -> None:
        """Hear, until cancelled."""
        while True:
            try:
                batches = await self.consumer.getmany(timeout_ms=POLL_MS)
                for records in batches.values():
                    for record in records:
                        self._hear(record)
            except Exception as error:
                # Whatever it is: if this loop ended, every write from now on would time out.
                self.problem = f"{self._topic}: {error!r}"
                log.exception("cannot follow %s", self._topic)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self.problem = None


@asynccontextmanager
async def follow(
    settings: KitSettings, topic: str, hear: Hear, *, together_ms: int | None = None
) -> AsyncIterator[Feed]:
    """Call `hear` with every record published to `topic` after this has been entered.

    Args:
        settings: where Kafka is.
        topic: to follow, all partitions.
        hear: must not raise.
        together_ms: records of so much time come together; without it, each at once.

    Raises:
        StartRefused: no broker answers.
    """
    options = {} if together_ms is None else {"max_wait_ms": together_ms, "min_bytes": TOGETHER_BYTES}
    async with tail(settings, [topic], **options) as consumer:
        feed = Feed(topic, consumer, hear)
        task = asyncio.create_task(feed.run())
        try:
            yield feed
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
