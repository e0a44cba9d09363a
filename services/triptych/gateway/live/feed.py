"""Reads every record that is published to one topic while the process runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from aiokafka import ConsumerRecord
from prometheus_client import Counter

from triptych.kit.attribution import position_of
from triptych.kit.backoff import Backoff
from triptych.kit.kafka.consuming.lag_metrics import show_lags
from triptych.kit.kafka.consuming.lag_tracker import LagTracker
from triptych.kit.kafka.reading.tail import Restarted, TopicTail, tail
from triptych.kit.logs.batch_lines import one_line_each, report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.clock import unix_seconds
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.supervision import SUPERVISOR, progress
from triptych.kit.process.telemetry import UNREADABLE

log = get_logger(__name__)

UNPROCESSED = Counter(
    "triptych_gateway_records_not_heard_total", "Records that the gateway failed to process", ["topic"]
)

FeedRecord: TypeAlias = ConsumerRecord[Any, Any]
ReceiveRecord: TypeAlias = Callable[[FeedRecord], None]
POLL_MS = 5_000
LAG_SECONDS = 5.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.5


class TopicFeed:
    """A running feed of one topic, all partitions."""

    def __init__(self, topic: str, records: TopicTail, receive: ReceiveRecord) -> None:
        self._topic = topic
        self._unprocessed = UNPROCESSED.labels(topic)
        UNREADABLE.labels(topic)
        self._receive_record = receive
        self._records = records
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why records are not read; None while they are."""
        return self._problem or self._records.problem

    def positions(self) -> dict[int, int]:
        """The offset of the next record to read, by partition."""
        return {topic_partition.partition: offset for topic_partition, offset in self._records.positions().items()}

    async def run(self) -> None:
        """Read until cancelled."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            progress()
            try:
                batches = await self._records.getmany(timeout_ms=POLL_MS)
            except Exception as error:
                # Any exception: if this loop ended, every later write would time out.
                if self._problem is None:
                    log.exception("a topic cannot be followed", topic=self._topic)
                self._problem = f"{self._topic}: {error!r}"
                await backoff.pause()
                continue
            self._problem = None
            backoff.reset()
            with one_line_each():
                for records in batches.values():
                    for record in records:
                        self._receive(record)

    async def watch_lag(self) -> None:
        """Show the lag at each interval until cancelled."""
        tracker, shown = LagTracker(), None
        try:
            while True:
                progress()
                tracker.update(self._records.states(self._topic), unix_seconds())
                if tracker.lags != shown:
                    shown = tracker.lags
                    show_lags(self._topic, shown)
                await asyncio.sleep(LAG_SECONDS)
        finally:
            show_lags(self._topic, {})

    def _receive(self, record: FeedRecord) -> None:
        try:
            self._receive_record(record)
        except Exception as error:  # noqa: BLE001 - the records after this one must be processed
            self._unprocessed.inc()
            report(
                log, logging.ERROR, "records cannot be processed", [record], position_of, error=error, topic=self._topic
            )


@asynccontextmanager
async def following_topic(
    settings: KitSettings,
    topic: str,
    receive: ReceiveRecord,
    *,
    gather_ms: int | None = None,
    restarted: Restarted | None = None,
) -> AsyncIterator[TopicFeed]:
    """Call `receive` with every record that is published to `topic` while the block runs.

    Args:
        settings: name the brokers.
        topic: the topic; all its partitions are read.
        receive: is called with one record after the other.
        gather_ms: how long Kafka gathers records while some come; None if each has to come at once.
        restarted: see `tail`.

    Raises:
        StartRefused: no broker answers.
    """
    async with tail(settings, [topic], gather_ms=gather_ms, restarted=restarted) as records:
        feed = TopicFeed(topic, records, receive)
        async with (
            SUPERVISOR.running(f"feed of {topic}", feed.run),
            SUPERVISOR.running(f"lag of {topic}", feed.watch_lag),
        ):
            yield feed
