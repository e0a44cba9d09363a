"""Publishes records and returns only when Kafka has acknowledged all of them, or says that it could not."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownProducerId,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from triptych.kit.failures import RecordTooLarge, TransientFailure
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.record_batches import (
    EnqueuedBatch,
    OutgoingRecord,
    Oversized,
    batch_of,
    batches_of,
    enqueue,
)
from triptych.kit.kafka.publishing.record_sizes import TopicLimits, bound, exact, expanded
from triptych.kit.process.waits import recorded_as_wait
from triptych.kit.run_all import run_all

__all__ = ["OutgoingRecord", "Publisher"]

log = logging.getLogger(__name__)

PUBLISH_TIMEOUT_SECONDS = 15.0
STOP_TIMEOUT_SECONDS = 5.0
# So many records are sent without a task for each partition: a lone command has an event and a reply.
SEND_DIRECTLY_MAX = 16
Place: TypeAlias = tuple[str, int]
"""A topic and a partition of it."""
Batches: TypeAlias = Mapping[Place, Sequence[BatchBuilder]]
BROKEN_PRODUCER = (
    OutOfOrderSequenceNumber,
    ProducerFenced,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    UnknownProducerId,
)
# After these, the same records are sent by a new producer. More would be the fault of something else.
PUBLISH_ATTEMPTS = 6
ROUND_PAUSE_SECONDS = 0.05


class Publisher:
    """Owns one idempotent producer and replaces it when it can no longer be used.

    Records are collected per partition into batches, which costs half of sending them singly (measured: 20 against
    38 µs a record). Records of one partition appear in the order given, also over several calls, if each call is
    awaited before the next.
    """

    def __init__(
        self,
        make: Callable[[], AIOKafkaProducer],
        timeout_seconds: float = PUBLISH_TIMEOUT_SECONDS,
        partitions: Mapping[str, int] | None = None,
    ) -> None:
        """`partitions` says how many some topics have by the settings: every process has to count with the same."""
        self._make = make
        self._counts = dict(partitions or {})
        self._timeout = timeout_seconds
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        # aiokafka takes one batch per partition at a time: concurrent calls would starve each other.
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._partitions: dict[str, int] = {}
        self._limits = TopicLimits()
        # The producer that has had a batch acknowledged on a partition.
        self._known_on: dict[Place, AIOKafkaProducer] = {}

    async def start(self) -> None:
        """Connect. Raises TransientFailure if no broker answers."""
        await self._current()

    async def stop(self) -> None:
        """Close the producer; what was not acknowledged was not promised to anybody."""
        producer, self._producer = self._producer, None
        if producer is not None:
            self._close_soon(producer)
        await asyncio.gather(*self._closing)

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has. Raises TransientFailure if that cannot be learnt now."""
        known = self._counts.get(topic) or self._partitions.get(topic)
        if known is None:
            producer = await self._current()
            try:
                async with asyncio.timeout(self._timeout):
                    found = await producer.partitions_for(topic)
            except (KafkaError, TimeoutError) as error:
                raise TransientFailure(f"no metadata for topic {topic}: {error!r}") from error
            known = self._partitions[topic] = len(found)
        return known

    async def has_topic(self, topic: str) -> bool:
        """Whether the topic exists now; asked before sending to a name that came from outside."""
        if topic in self._partitions:
            return True
        producer = await self._current()
        try:
            async with asyncio.timeout(self._timeout):
                cluster = await producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError) as error:
            raise TransientFailure(f"no metadata from Kafka: {error!r}") from error
        return topic in cluster.topics()

    async def problem(self) -> str | None:
        """Ask Kafka whether it answers; None if it does, otherwise what is wrong. Without a deadline of its own."""
        try:
            producer = await self._current()
            await producer.client.fetch_all_metadata()
        except (KafkaError, TransientFailure) as error:
            return f"Kafka does not answer: {error!r}"
        return None

    @recorded_as_wait("Kafka to take records")
    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Send all and wait until all are acknowledged.

        Raises:
            TransientFailure: some may be on the topic and some not; publish the same records again.
            RecordTooLarge: their topic does not take some of them, and now others may be on theirs or not.
        """
        if not records:
            return
        producer = await self._current()
        deadline = asyncio.get_running_loop().time() + self._timeout
        for attempt in range(1, PUBLISH_ATTEMPTS + 1):
            if attempt > 1:
                producer = await self._current()
            try:
                async with asyncio.timeout_at(deadline):
                    if attempt > 1:
                        await asyncio.sleep(attempt * ROUND_PAUSE_SECONDS)
                    await self._send_all(producer, await self._batches(producer, records))
                    return
            except TimeoutError as error:
                # An idempotent batch never expires by itself; a new producer keeps old batches from piling up.
                self._replace(producer)
                raise TransientFailure(f"Kafka did not acknowledge within {self._timeout:g} s") from error
            except (*BROKEN_PRODUCER, Oversized) as error:
                # The producer's sequence has a gap, be it because of somebody else's record. No record is to blame but
                # one that is too large, which is known now. What is sent once more is harmless.
                self._replace(producer)
                failure: Exception = error
            except KafkaError as error:
                if self._producer is producer:
                    raise TransientFailure(f"Kafka refused the records: {error!r}") from error
                failure = error  # it was replaced because of records of another call
            except AssertionError as error:  # aiokafka's way of saying that a topic has fewer partitions
                raise TransientFailure(f"Kafka does not have that partition: {error!r}") from error
        raise TransientFailure(f"producers lose their sequence again and again: {failure!r}") from failure

    async def too_large(self, records: Sequence[OutgoingRecord]) -> frozenset[int]:
        """The positions of the records that their topics do not take, each in a batch of its own, compressed as sent.

        Raises:
            TransientFailure: Kafka does not answer.
        """
        producer = await self._current()
        largest: dict[str, int] = {}
        bounds = [bound(record.key, record.value, record.headers) for record in records]
        for record, size in zip(records, bounds, strict=True):
            largest[record.topic] = max(size, largest.get(record.topic, 0))
        limits = {topic: await self._limits.of(topic, producer, size) for topic, size in largest.items()}
        return frozenset(
            position
            for position, (record, size) in enumerate(zip(records, bounds, strict=True))
            if size > limits[record.topic] and exact(batch_of(producer, record)) > limits[record.topic]
        )

    async def limit(self, topic: str) -> int:
        """Bytes that a batch for this topic may have. Raises TransientFailure if Kafka does not answer."""
        return await self._limits.of(topic, await self._current(), 0)

    async def _refuse_too_large(self, records: Sequence[OutgoingRecord]) -> None:
        if positions := await self.too_large(records):
            topics = ", ".join(sorted({records[position].topic for position in positions}))
            raise RecordTooLarge(f"{len(positions)} record(s) are larger than {topics} takes", positions)

    async def _batches(self, producer: AIOKafkaProducer, records: Sequence[OutgoingRecord]) -> Batches:
        """All records in batches that their topics take. Raises RecordTooLarge."""
        by_partition = await self._by_partition(records)
        batches = await self._built(producer, by_partition)
        largest: dict[str, int] = {}
        for (topic, _), built in batches.items():
            largest[topic] = max(largest.get(topic, 0), *(expanded(batch.size()) for batch in built))
        # No record is larger than its batch, whose size costs nothing to know.
        if [topic for topic, size in largest.items() if size > await self._limits.of(topic, producer, size)]:
            await self._refuse_too_large(records)
            return await self._built(producer, by_partition)  # a limit may have been lowered
        return batches

    async def _built(self, producer: AIOKafkaProducer, parts: Mapping[Place, Sequence[OutgoingRecord]]) -> Batches:
        return {
            place: batches_of(producer, part, await self._limits.of(place[0], producer, 0))
            for place, part in parts.items()
        }

    async def _by_partition(self, records: Sequence[OutgoingRecord]) -> dict[Place, list[OutgoingRecord]]:
        by_partition: dict[Place, list[OutgoingRecord]] = {}
        for record in records:
            partition = record.partition
            if partition is None:
                partition = partition_of(record.key or b"", await self.partitions(record.topic))
            by_partition.setdefault((record.topic, partition), []).append(record)
        return by_partition

    async def _send_all(self, producer: AIOKafkaProducer, batches: Batches) -> None:
        # Partitions fill at the same time, so that one request to the broker carries a batch of each.
        if sum(batch.record_count() for built in batches.values() for batch in built) <= SEND_DIRECTLY_MAX:
            await self._send_directly(producer, batches)
        else:
            await run_all([self._send(producer, *place, built) for place, built in batches.items()])

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, partition: int, batches: Sequence[BatchBuilder]
    ) -> None:
        async with self._turns[topic, partition]:
            batches = await self._introduced(producer, (topic, partition), batches)
            await self._acknowledged(producer, await enqueue(producer, topic, partition, batches))
            self._known_on[topic, partition] = producer

    async def _send_directly(self, producer: AIOKafkaProducer, batches: Batches) -> None:
        async with AsyncExitStack() as turns:
            for place in sorted(batches):  # in one order, so that no two calls wait for each other
                await turns.enter_async_context(self._turns[place])
            sent: list[EnqueuedBatch] = []
            for place, built in batches.items():
                sent += await enqueue(producer, *place, await self._introduced(producer, place, built))
            await self._acknowledged(producer, sent)
            self._known_on.update(dict.fromkeys(batches, producer))

    async def _introduced(
        self, producer: AIOKafkaProducer, place: Place, batches: Sequence[BatchBuilder]
    ) -> Sequence[BatchBuilder]:
        """The batches that may follow now. The first of several goes alone if the partition is new to the producer.

        A broker takes any sequence number from a producer that it does not know. If it refused the first batch, it
        would take the second one all the same, and the records would be out of order.
        """
        if len(batches) == 1 or self._known_on.get(place) is producer:
            return batches
        await self._acknowledged(producer, await enqueue(producer, *place, batches[:1]))
        return batches[1:]

    async def _acknowledged(self, producer: AIOKafkaProducer, sent: Sequence[EnqueuedBatch]) -> None:
        """Wait for all. Raises Oversized if a broker refuses one for its size, otherwise what became of the first."""
        ends = await asyncio.gather(*(one.acknowledgement for one in sent), return_exceptions=True)
        failures = [end for end in ends if isinstance(end, BaseException)]
        for one, end in zip(sent, ends, strict=True):
            if isinstance(end, MessageSizeTooLargeError | RecordListTooLargeError):
                await self._limits.correct(one.topic, producer, one.batch.size())
                failures = [Oversized(repr(end))]
        if failures:
            raise failures[0]

    async def _current(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = self._make()
                try:
                    await producer.start()
                except BaseException as error:
                    await _close(producer)
                    if isinstance(error, KafkaError):
                        raise TransientFailure(f"Kafka does not answer: {error!r}") from error
                    raise
                self._producer = producer
            return self._producer

    def _replace(self, broken: AIOKafkaProducer) -> None:
        if self._producer is not broken:
            return  # by another call, whose records were stuck as well
        log.warning("replacing the Kafka producer")
        self._producer = None
        self._partitions.clear()
        self._close_soon(broken)

    def _close_soon(self, producer: AIOKafkaProducer) -> None:
        closing = asyncio.create_task(_close(producer))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def _close(producer: AIOKafkaProducer) -> None:
    # Stopping flushes, which can wait for a broker that is gone; whoever waits for us must not.
    try:
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        log.warning("the Kafka producer did not close cleanly: %r", error)
        # aiokafka's sender goes on trying for ever when stopping is interrupted; there is no public way to end it.
        await producer.client.close()
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                await producer._sender.close()
