"""Hears every record of one topic from now on, for as long as the process runs."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from aiokafka import ConsumerRecord
from prometheus_client import Counter

from triptych.kit.kafka.reading.tail import Restarted, TopicTail, tail
from triptych.kit.process.settings import KitSettings

log = logging.getLogger(__name__)

NOT_HEARD = Counter("triptych_gateway_records_not_heard_total", "Records that could not be made sense of", ["topic"])

FeedRecord: TypeAlias = ConsumerRecord[Any, Any]
Hear: TypeAlias = Callable[[FeedRecord], None]
POLL_MS = 1_000
PAUSE_SECONDS = 0.5
TOGETHER_BYTES = 256 * 1024
"""More than this is not waited for."""


class TopicFeed:
    """A running feed of one topic, all partitions."""

    def __init__(self, topic: str, records: TopicTail, hear: Hear) -> None:
        self._topic = topic
        self._hear = hear
        self._records = records
        self._trouble: str | None = None

    @property
    def problem(self) -> str | None:
        """Why something is not heard, None if all is well."""
        return self._trouble or self._records.problem

    def positions(self) -> dict[int, int]:
        """The offset of the next record to hear, by partition."""
        return {place.partition: offset for place, offset in self._records.positions().items()}

    async def run(self) -> None:
        """Hear, until cancelled."""
        while True:
            try:
                batches = await self._records.getmany(timeout_ms=POLL_MS)
            except Exception as error:
                # Whatever it is: if this loop ended, every write from now on would time out.
                if self._trouble is None:
                    log.exception("cannot follow %s", self._topic)
                self._trouble = f"{self._topic}: {error!r}"
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self._trouble = None
            for records in batches.values():
                for record in records:
                    self._take(record)

    def _take(self, record: FeedRecord) -> None:
        try:
            self._hear(record)
        except Exception:
            # Whatever is in it, those after it have to be heard.
            NOT_HEARD.labels(self._topic).inc()
            log.exception("%s-%d@%d is not heard", record.topic, record.partition, record.offset)


@asynccontextmanager
async def following(
    settings: KitSettings,
    topic: str,
    hear: Hear,
    *,
    together_ms: int | None = None,
    restarted: Restarted | None = None,
) -> AsyncIterator[TopicFeed]:
    """Call `hear` with every record published to `topic` after this has been entered.

    Args:
        settings: where Kafka is.
        topic: to follow, all partitions.
        hear: is called with each record, one after the other.
        together_ms: records of so much time come together; without it, each at once.
        restarted: see `tail`.

    Raises:
        StartRefused: no broker answers.
    """
    options = {} if together_ms is None else {"max_wait_ms": together_ms, "min_bytes": TOGETHER_BYTES}
    async with tail(settings, [topic], restarted=restarted, **options) as records:
        feed = TopicFeed(topic, records, hear)
        task = asyncio.create_task(feed.run())
        try:
            yield feed
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
