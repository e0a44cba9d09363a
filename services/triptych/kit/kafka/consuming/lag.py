"""Measures, for the owner of partitions alone, how far it is behind them, and tells when it stands still."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from triptych.kit.kafka.clients import make_reader, start_client
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.consuming.lag_tracker import Lag, LagTracker, PartitionState
from triptych.kit.kafka.reading.reader import Reader
from triptych.kit.process.health import Health
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.telemetry import LAG, LAG_SECONDS

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0
ANSWER_SECONDS = 10.0
NAMED_MAX = 5
"""Partitions named in a message; the others are counted."""


class LagWatch:
    """Looks at one consumer's partitions again and again."""

    def __init__(self, consumer: BatchConsumer, reader: Reader) -> None:
        """`reader` has a connection of its own: on the consumer's, questions wait behind fetches."""
        self._consumer = consumer
        self._reader = reader
        self._tracker = LagTracker()
        self._told = ""

    @property
    def problem(self) -> str | None:
        """Which partitions stand still although there is something to do, or None."""
        return self._consumer.problem or _words(self._consumer.topic, self._tracker.stalled(), "stands still")

    @property
    def detail(self) -> str | None:
        """Which partitions wait for a producer to end its transaction, or None."""
        return _words(
            self._consumer.topic, self._tracker.waiting_for_transaction(), "waits for an open transaction of a producer"
        )

    def report_to(self, health: Health, name: str) -> None:
        """Let readiness depend on the consumer and tell of its lag, under this name."""

        async def check() -> str | None:
            return self.problem

        async def detail() -> str | None:
            return self.detail

        health.add(name, check)
        health.add_detail(name, detail)

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                # If Kafka is away, other checks say so.
                with contextlib.suppress(KafkaError, TimeoutError):
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await self.measure()
                await asyncio.sleep(INTERVAL_SECONDS)
        finally:
            self._set_metrics({})

    async def measure(self) -> None:
        """Look once. Raises KafkaError."""
        topic = self._consumer.topic
        owned = self._consumer.reached()
        ends = await self._reader.end_offsets([TopicPartition(topic, partition) for partition in owned])
        standings = {}
        # Those of now: while Kafka was asked, more may have been finished, or taken away.
        for partition, reached in self._consumer.reached().items():
            place = TopicPartition(topic, partition)
            if place in ends:
                standings[partition] = self._standing(place, reached, ends[place])
        self._tracker.update(standings, time.time())
        self._set_metrics(self._tracker.lags)
        self._log_changes()

    def _standing(self, place: TopicPartition, reached: int, end: int) -> PartitionState:
        consumer = self._consumer.reader
        in_progress = [record for record in self._consumer.in_progress if record.partition == place.partition]
        if consumer is None or place not in consumer.assignment():
            return PartitionState(reached, end)
        # While something is being handled, nothing is fetched, and what the last fetch has told is old.
        stable = None if in_progress else consumer.last_stable_offset(place)
        oldest = in_progress[0].timestamp if in_progress else None
        return PartitionState(reached, end, stable, oldest, consumer.trouble(place))

    def _set_metrics(self, lags: Mapping[int, Lag]) -> None:
        topic = self._consumer.topic
        for gauge in (LAG, LAG_SECONDS):
            for known in [labels for labels in gauge._metrics if labels[0] == topic]:
                if int(known[1]) not in lags:
                    gauge.remove(*known)
        for partition, lag in lags.items():
            LAG.labels(topic, partition).set(lag.records)
            LAG_SECONDS.labels(topic, partition).set(lag.seconds)

    def _log_changes(self) -> None:
        stalled, kept_back = self._tracker.stalled(), self._tracker.waiting_for_transaction()
        state = f"{sorted(stalled)} {sorted(kept_back)}"
        if state == self._told:
            return
        self._told = state
        if stalled:
            log.error("%s", _words(self._consumer.topic, stalled, "stands still"))
        if kept_back:
            log.warning("%s", self.detail)


def _words(topic: str, lags: Mapping[int, Lag], what: str) -> str | None:
    if not lags:
        return None
    named = [
        f"{topic}-{partition} {what} for {lag.stalled_seconds:.0f} s, {lag.records} records behind"
        + (f" ({lag.trouble})" if lag.trouble else "")
        for partition, lag in sorted(lags.items())[:NAMED_MAX]
    ]
    more = len(lags) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")


@asynccontextmanager
async def watching_lag(settings: KitSettings, consumer: BatchConsumer) -> AsyncIterator[LagWatch]:
    """The lag of a consumer, measured as long as the block runs.

    Raises:
        StartRefused: no broker answers.
    """
    reader = make_reader(settings, isolation_level="read_uncommitted")
    await start_client(reader, settings)
    watch = LagWatch(consumer, reader)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await reader.stop()
