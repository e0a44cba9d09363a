"""Takes batches from one topic, so that no record is lost, skipped, or able to block its partition.

FastStream's acknowledgement policies either drop a record that fails or repeat it for ever. So this module acknowledges
batches itself: when `BatchFinisher` has finished a batch, its offsets are committed while the next batches are handled.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.consuming.batch_handler import BatchHandler, Gate, OpenGate
from triptych.kit.kafka.consuming.batch_metrics import BatchMetrics
from triptych.kit.kafka.consuming.commits import OffsetCommits
from triptych.kit.kafka.consuming.finishing import BatchFinisher
from triptych.kit.kafka.consuming.lanes import Lanes
from triptych.kit.kafka.consuming.retries import Retries
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import FetchingStopped, GroupReader, IncomingRecord
from triptych.kit.kafka.reading.subscription import GroupTimes, subscribe
from triptych.kit.logs.batch_lines import one_line_each
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.stopping import BATCH, stop_deadline
from triptych.kit.process.supervision import Progress
from triptych.kit.process.waits import waiting_for

log = get_logger(__name__)

# How long a consumer that ends waits for the current batch and its offsets, before its broker is stopped.
END_TIMEOUT_SECONDS = 5.0
# A quarter of aiokafka's own value: records that are fetched ahead of the current batch wait in memory.
PARTITION_BYTES = 256 * 1024
OPEN = OpenGate()


class BatchConsumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of a consumer group on one topic."""

    def __init__(
        self,
        broker: KafkaBroker,
        topic: str,
        group: str,
        handler: BatchHandler,
        dead_letters: DeadLetterPublisher,
        *,
        max_records: int = 500,
        partition_bytes: int = PARTITION_BYTES,
        lanes: Lanes = Lanes(),  # noqa: B008 - immutable
        times: GroupTimes = GroupTimes(),  # noqa: B008 - immutable
        gate: Gate = OPEN,
        linger_seconds: float = 0.0,
        label: str | None = None,
    ) -> None:
        """`label` is the topic's name in metrics, if another consumer of this process reads the same topic."""
        self.topic = topic
        self.label = label or topic
        self._times = times
        self.group = group
        self._gate = gate
        self._held: Mapping[int, str] = {}
        self._batch: Sequence[IncomingRecord] = ()
        self._turn = asyncio.Lock()
        """Held while a batch is handled, and while partitions are prepared again between two batches."""
        self._handler = handler
        self._metrics = BatchMetrics(self.label)
        self._owned: frozenset[int] = frozenset()
        self._preparing: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._commits = OffsetCommits(topic, lambda: self.reader)
        self._stopping = False
        self.progress = Progress()
        """The last sign that records are handled, or that work on them has failed and is tried again."""
        self._retries = Retries(topic, self._metrics, self.progress)
        self._poll_trouble = ""
        self._current: Sequence[IncomingRecord] = ()
        self._first_of_current: Mapping[int, IncomingRecord] | None = None
        self._finisher = BatchFinisher(
            topic,
            handler,
            dead_letters,
            lanes,
            self._metrics,
            self._retries,
            self._prepare_for_batch,
            self._note_current,
        )
        self._subscriber = subscribe(
            broker,
            topic,
            group,
            self._consume,
            self._on_batch,
            self._on_poll_error,
            self,
            max_records=max_records,
            partition_bytes=partition_bytes,
            times=times,
            linger_seconds=linger_seconds,
        )

    @property
    def problem(self) -> str | None:
        """Why this consumer is not working normally, or None."""
        if trouble := self._retries.trouble or self._poll_trouble:
            return trouble
        if self._preparing is None:
            return "no partitions assigned yet"
        return None if self._preparing.done() else "preparing its partitions"

    @property
    def reader(self) -> GroupReader | None:
        """The reader that fetches the records, once the broker has started."""
        reader: GroupReader | None = self._subscriber.consumer
        return reader

    @property
    def in_progress(self) -> Mapping[int, IncomingRecord]:
        """The first record of each partition that is being handled, by partition."""
        if self._first_of_current is None:
            # Backwards, so that the first record of a partition is the last one entered.
            self._first_of_current = {record.partition: record for record in reversed(self._current)}
        return self._first_of_current

    @property
    def held(self) -> Mapping[int, str]:
        """The owned partitions that wait for others, with the reason."""
        return self._held

    def reached(self, *, also_held: bool = False) -> dict[int, int]:
        """The offset after the last finished record, by owned partition, as soon as it is known.

        Partitions that wait for others are left out unless `also_held`.
        """
        reader = self.reader
        positions = reader.positions() if reader is not None else {}
        owned = self._owned if also_held else self._owned - self._held.keys()
        reached = {tp.partition: offset for tp, offset in positions.items() if tp.partition in owned}
        for partition, record in self.in_progress.items():
            if partition in reached:
                first = record.first_offset if isinstance(record, Unreadable) else record.offset
                reached[partition] = min(first, reached[partition])
        return reached

    async def give_up(self) -> None:
        """Stop waiting for dependencies; unfinished records stay uncommitted. The caller then stops the broker."""
        self._stopping = True
        self._retries.interrupted.set()
        if self._preparing is not None:
            self._preparing.cancel()
        await self._wait_until_idle(min(END_TIMEOUT_SECONDS, stop_deadline().remaining(BATCH)))
        await self._commits.stop()

    async def prepare_again(self) -> None:
        """Prepare the owned partitions again between two batches: other ones may have to wait now, or none any more."""
        async with self._turn:
            if self._preparing is not None and self._preparing.done():
                self._preparing = asyncio.create_task(self._prepare(self._owned))
                await asyncio.wait({self._preparing})

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit these offsets of owned partitions soon, although no record before them was handled."""
        self._commits.add([{TopicPartition(self.topic, number): offset for number, offset in offsets.items()}])

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 - always all of them
        """Let the current batch finish within a deadline. After that, the fence of the next owner protects the data."""
        self._retries.interrupted.set()
        if self._preparing is not None:
            self._preparing.cancel()
            self._preparing = None
        if not await self._wait_until_idle(self._times.revocation_seconds):
            log.warning("partitions were revoked before the current batch was finished", topic=self.topic)
        self._owned, self._held = frozenset(), {}
        self._commits.discard()
        await self._handler.released()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Start preparing. Polling continues meanwhile, so that the group does not expel this member."""
        if self._stopping:
            return
        self._retries.interrupted.clear()
        self._owned = frozenset(topic_partition.partition for topic_partition in assigned)
        self._preparing = asyncio.create_task(self._prepare(self._owned))

    async def _prepare(self, partitions: frozenset[int]) -> None:
        with waiting_for(f"{self.label}: partitions to be prepared"), self.progress.noted():
            await self._retries.until_done(partial(self._prepare_once, partitions))

    async def _prepare_once(self, partitions: frozenset[int]) -> None:
        self._hold(await self._gate.held(partitions))
        await self._handler.assigned(partitions - self._held.keys())

    def _hold(self, held: Mapping[int, str]) -> None:
        """Fetch nothing from these partitions, and fetch again from those that are not held any more."""
        before, self._held = self._held, held
        reader = self.reader
        if reader is None or not (before or held):
            return
        assigned = {topic_partition.partition: topic_partition for topic_partition in reader.assignment()}
        reader.pause(*(assigned[number] for number in held if number in assigned))
        reader.resume(*(assigned[number] for number in before if number in assigned and number not in held))

    async def _prepare_for_batch(self) -> bool:
        """Prepare again for the current batch; False if some of its records have to wait now."""
        await self._prepare(self._owned)
        return not any(record.partition in self._held for record in self._batch)

    def _without_held(self, records: Sequence[IncomingRecord]) -> Sequence[IncomingRecord]:
        """The records to handle now. The others were fetched before their partitions were held, and come again."""
        held = [record for record in records if record.partition in self._held]
        if not held:
            return records
        self._read_again(held)
        kept = [record for record in records if record.partition not in self._held]
        self._note_current(kept)
        return kept

    def _read_again(self, records: Sequence[IncomingRecord]) -> None:
        """Let the next polls return these records once more."""
        firsts = {record.partition: record for record in reversed(records)}
        if (reader := self.reader) is not None:
            for topic_partition in reader.assignment():
                if (record := firsts.get(topic_partition.partition)) is not None:
                    first = record.first_offset if isinstance(record, Unreadable) else record.offset
                    reader.seek(topic_partition, first)

    def _on_batch(self, records: Sequence[IncomingRecord]) -> None:
        self._note_current(records)
        self._poll_trouble = ""

    def _note_current(self, records: Sequence[IncomingRecord]) -> None:
        self._current, self._first_of_current = records, None

    def _on_poll_error(self, error: Exception) -> None:
        if not self._poll_trouble:
            log.error("Kafka cannot be polled", topic=self.topic, exc_info=error)
        if isinstance(error, KafkaError) and not isinstance(error, FetchingStopped):
            self.progress.note()  # Kafka is to blame, and the next poll tries again
        self._poll_trouble = f"polling Kafka fails: {error!r}"

    async def _consume(self, records: Sequence[IncomingRecord]) -> None:
        async with self._turn:
            await self._consume_alone(records)

    async def _consume_alone(self, records: Sequence[IncomingRecord]) -> None:
        self._idle.clear()
        started = time.perf_counter()
        try:
            if not await self._is_prepared():
                return
            # A record may have been polled before a rebalance took its partition. The new owner reads it again.
            records = [record for record in records if record.partition in self._owned]
            records = self._without_held(records)
            if not records:
                return
            assignment = self._commits.assignment
            with waiting_for(f"{self.label}: a batch to be finished"), self.progress.noted(), one_line_each():
                self._batch = records
                is_finished = await self._finisher.finish(records)
            # Partitions that come back after a rebalance may be further by now: nothing of theirs may be set back.
            is_ours = assignment == self._commits.assignment
            if is_finished:
                self._note_current(())  # otherwise these records count as unfinished until the next poll
                self._metrics.finished(len(records), time.perf_counter() - started)
                if is_ours:
                    self._commits.after(records)
            elif is_ours and not self._retries.interrupted.is_set():
                self._note_current(())
                self._read_again(records)
        finally:
            self._batch = ()
            self._idle.set()

    async def _is_prepared(self) -> bool:
        """Wait until the partitions are prepared; False if the assignment has ended."""
        while (preparing := self._preparing) is not None:
            if not preparing.done():
                await asyncio.wait({preparing})
            if not preparing.cancelled():
                return True
            if self._retries.interrupted.is_set() or preparing is not self._preparing:
                return False
            # Nobody asked for that. Without a new try, these records would be skipped.
            log.error("preparing the partitions was cancelled, and starts again", topic=self.topic)
            self._preparing = asyncio.create_task(self._prepare(self._owned))
        return False

    async def _wait_until_idle(self, timeout: float) -> bool:
        """Wait for the current batch and its offsets; False if `timeout` seconds were not enough."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
                await self._commits.flush()
        except (TimeoutError, TransientFailure):
            return False
        return True
