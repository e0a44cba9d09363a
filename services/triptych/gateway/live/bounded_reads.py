"""Reads a bounded number of records of a topic for a request, from an offset, from a time on, or at the end."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import datetime
from typing import Any, TypeAlias

from aiokafka import ConsumerRecord

from triptych.gateway.http.errors import RETRY_AFTER, HttpFailure
from triptych.kit.failures import StartRefused, TransientFailure
from triptych.kit.kafka.monitor import KafkaMonitor
from triptych.kit.kafka.reading.offsets import TopicOffsets
from triptych.kit.kafka.reading.ranges import read_ranges
from triptych.kit.logs.loggers import error_text, get_logger
from triptych.kit.process.settings import KitSettings

log = get_logger(__name__)
Ranges: TypeAlias = dict[int, tuple[int, int]]
"""The first offset and the one after the last, by partition."""

READERS_MAX = 2
"""How many requests read at the same time. Others wait for their turn."""
READ_SECONDS = 10.0
"""How long a request may read, its turn included."""
RECORDS_AT_ONCE = 200


class BoundedReads:
    """Reads ranges of some topics. A range never reaches beyond what its topic has."""

    def __init__(self, settings: KitSettings, topics: Iterable[str], monitor: KafkaMonitor) -> None:
        """`topics` are those that can be read. Nothing is connected until something is read."""
        self._settings = settings
        self._offsets = {topic: TopicOffsets(settings, topic) for topic in topics}
        self._monitor = monitor
        self._turns = asyncio.Semaphore(READERS_MAX)

    async def stop(self) -> None:
        """Close the clients."""
        async with AsyncExitStack() as stack:
            for offsets in self._offsets.values():
                stack.push_async_callback(offsets.stop)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Read in the block. Raises HttpFailure (503) if Kafka is away, or the block and its turn take too long."""
        try:
            async with self._monitor.fail_fast(READ_SECONDS), self._turns:
                yield
        except (TransientFailure, StartRefused) as failure:
            log.warning("records cannot be read for a request", error=error_text(failure))
            raise HttpFailure(503, RETRY_AFTER) from failure

    async def stored(self, topic: str, partitions: Iterable[int]) -> Ranges:
        """The first offset that is stored and the one after the last, by partition. Raises TransientFailure."""
        offsets, wanted = self._offsets[topic], sorted(partitions)
        beginnings, ends = await asyncio.gather(offsets.beginnings(wanted), offsets.ends(wanted))
        return {partition: (beginnings[partition], ends[partition]) for partition in wanted}

    async def since(self, topic: str, moment: datetime, partitions: Iterable[int], count: int) -> Ranges:
        """The ranges of the first `count` records from `moment` on, by partition. Raises TransientFailure."""
        wanted = sorted(partitions)
        starts = await self._offsets[topic].since(moment, wanted)
        return {partition: (starts[partition], starts[partition] + count) for partition in wanted}

    async def read(self, topic: str, ranges: Mapping[int, tuple[int, int]]) -> AsyncGenerator[ConsumerRecord[Any, Any]]:
        """The records of these ranges. Raises TransientFailure or StartRefused."""
        stored = await self.stored(topic, ranges)
        cut = {
            partition: (max(start, stored[partition][0]), min(end, stored[partition][1]))
            for partition, (start, end) in ranges.items()
        }
        async with aclosing(read_ranges(self._settings, topic, cut, RECORDS_AT_ONCE)) as chunks:
            async for chunk in chunks:
                for record in chunk.records:
                    yield record
