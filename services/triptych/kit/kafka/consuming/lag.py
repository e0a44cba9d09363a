"""Measures the lag of a consumer on the partitions that it owns, and reports when a partition has stalled.

If the whole consumer stands still although Kafka and MongoDB answer, its handler or its poll hangs. Nothing in this
process can repair that, so the process ends.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from triptych.kit.kafka.clients import make_reader, start_client
from triptych.kit.kafka.consuming import standstill
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.consuming.lag_metrics import show_lags
from triptych.kit.kafka.consuming.lag_tracker import Lag, LagTracker, PartitionState
from triptych.kit.kafka.consuming.standstill import Standstill
from triptych.kit.kafka.reading.reader import Reader
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.clock import unix_seconds
from triptych.kit.process.dependencies import DEPENDENCIES
from triptych.kit.process.health import Health
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.supervision import SUPERVISOR, progress

log = get_logger(__name__)

INTERVAL_SECONDS = 2.0
ANSWER_SECONDS = 10.0
NAMED_MAX = 5
"""Partitions that a message names; it counts the others."""


class LagWatch:
    """Measures the lag of one consumer at regular intervals."""

    def __init__(self, consumer: BatchConsumer, reader: Reader) -> None:
        """`reader` has a connection of its own: on the consumer's connection, requests wait behind fetches."""
        self._consumer = consumer
        self._reader = reader
        self._tracker = LagTracker()
        self._standstill = Standstill()
        self._logged = ""

    @property
    def problem(self) -> str | None:
        """Which partitions have records to handle and have stalled, or None."""
        return self._consumer.problem or _words(self._consumer.label, self._tracker.stalled(), "has been stalled")

    @property
    def detail(self) -> str | None:
        """Which partitions wait until a producer ends its transaction, or None."""
        return _words(
            self._consumer.label, self._tracker.waiting_for_transaction(), "has waited for an open transaction"
        )

    def report_to(self, health: Health, name: str) -> None:
        """Make readiness depend on the consumer, and show its waits for transactions in the details, under `name`."""

        async def check() -> str | None:
            return self.problem

        async def detail() -> str | None:
            return self.detail

        health.add(name, check)
        health.add_detail(name, detail)

    async def run(self) -> None:
        """Measure at each interval until cancelled."""
        try:
            while True:
                progress()
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await self.measure()
                except (KafkaError, TimeoutError):
                    self._standstill.reset()  # Kafka is away, which other checks report
                    self._show_aged()
                else:
                    await self._end_standstill()
                await asyncio.sleep(INTERVAL_SECONDS)
        finally:
            show_lags(self._consumer.label, {})

    async def measure(self) -> None:
        """Measure once. Raises KafkaError."""
        topic = self._consumer.topic
        owned = self._consumer.reached(also_held=True)
        ends = await self._reader.end_offsets([TopicPartition(topic, partition) for partition in owned])
        states = {}
        # The consumer is asked again: meanwhile it may have finished more records or lost partitions.
        for partition, reached in self._consumer.reached(also_held=True).items():
            topic_partition = TopicPartition(topic, partition)
            if topic_partition in ends:
                states[partition] = self._state(topic_partition, reached, ends[topic_partition])
        self._tracker.update(states, unix_seconds())
        show_lags(self._consumer.label, self._tracker.lags)
        self._log_changes()

    def _show_aged(self) -> None:
        """Show the lags as they must be at least by now: lags that stood still would look like short ones."""
        in_progress = {partition: record.timestamp for partition, record in self._consumer.in_progress.items()}
        show_lags(self._consumer.label, self._tracker.aged(unix_seconds(), in_progress))

    async def _end_standstill(self) -> None:
        """End the process if the consumer is behind and has not moved for `STANDSTILL_SECONDS`, and is to blame."""
        lags = self._tracker.lags
        is_behind = any(lag.records and not lag.waits_for_transaction and not lag.trouble for lag in lags.values())
        mark = (self._consumer.progress.moved_at, tuple(sorted(self._consumer.reached().items())))
        self._standstill.update(mark, time.monotonic(), is_behind=is_behind)
        if self._standstill.seconds < standstill.STANDSTILL_SECONDS / 2:
            return
        if await DEPENDENCIES.away():
            self._standstill.reset()
        elif self._standstill.seconds >= standstill.STANDSTILL_SECONDS:
            reason = f"is behind and has not moved for {self._standstill.seconds:.0f} s"
            self._standstill.reset()
            SUPERVISOR.end_process(f"consumer of {self._consumer.label}", reason)

    def _state(self, topic_partition: TopicPartition, reached: int, end: int) -> PartitionState:
        reader = self._consumer.reader
        in_progress = self._consumer.in_progress.get(topic_partition.partition)
        if reader is None or topic_partition not in reader.assignment():
            return PartitionState(reached, end)
        # While records are being handled, nothing is fetched, so the last stable offset is outdated.
        stable = None if in_progress else reader.last_stable_offset(topic_partition)
        oldest = in_progress.timestamp if in_progress else None
        trouble = self._consumer.held.get(topic_partition.partition) or reader.trouble(topic_partition)
        return PartitionState(reached, end, stable, oldest, trouble)

    def _log_changes(self) -> None:
        stalled, withheld = self._tracker.stalled(), self._tracker.waiting_for_transaction()
        state = f"{sorted(stalled)} {sorted(withheld)}"
        if state == self._logged:
            return
        self._logged = state
        if stalled:
            log.error(
                "partitions have been stalled",
                topic=self._consumer.topic,
                partitions=sorted(stalled),
                problem=_words(self._consumer.label, stalled, "has been stalled"),
            )
        if withheld:
            log.warning(
                "partitions wait for an open transaction of a producer",
                topic=self._consumer.topic,
                partitions=sorted(withheld),
                problem=self.detail,
            )


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
    """A `LagWatch` that measures the consumer's lag until the block ends.

    Raises:
        NotYetAvailable: no broker answers.
        StartRefused: the broker refuses the connection permanently.
    """
    reader = make_reader(settings, isolation_level="read_uncommitted")
    await start_client(reader, settings)
    watch = LagWatch(consumer, reader)
    try:
        async with SUPERVISOR.running(f"lag of {consumer.label}", watch.run):
            yield watch
    finally:
        await reader.stop()
