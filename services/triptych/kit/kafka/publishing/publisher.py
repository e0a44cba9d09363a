"""Publishes records, and returns only when Kafka has acknowledged all of them; otherwise it raises."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
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

from triptych.kit.backoff import Backoff
from triptych.kit.failures import RecordTooLarge, TransientFailure
from triptych.kit.kafka.errors import KafkaAway, no_answer
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.producer_owner import ProducerOwner
from triptych.kit.kafka.publishing.record_batches import (
    EnqueuedBatch,
    OutgoingRecord,
    Oversized,
    batch_of,
    batches_of,
    enqueue,
)
from triptych.kit.kafka.publishing.record_sizes import TopicLimits, bound, exact, expanded
from triptych.kit.keyed_locks import KeyedLocks
from triptych.kit.process.waits import recorded_as_wait
from triptych.kit.run_all import run_all

__all__ = ["OutgoingRecord", "Publisher"]

PUBLISH_TIMEOUT_SECONDS = 15.0
# Up to this many records are sent without a task for each partition: a single command has an event and a reply.
SEND_DIRECTLY_MAX = 16
Destination: TypeAlias = tuple[str, int]
"""A topic and one of its partitions."""
Batches: TypeAlias = Mapping[Destination, Sequence[BatchBuilder]]
BROKEN_PRODUCER = (
    OutOfOrderSequenceNumber,
    ProducerFenced,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    UnknownProducerId,
)
"""Errors after which a new producer sends the same records."""
# After this many failures in a row, the cause is something else.
PUBLISH_ATTEMPTS = 6
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 0.5


class Publisher:
    """Owns one idempotent producer and replaces it when it can no longer be used.

    Records are collected into batches per partition, which costs about half of sending them one by one (measured: 20
    against 38 µs a record). Records of one partition are stored in the order given, also over several calls, if each
    call is awaited before the next.
    """

    def __init__(
        self,
        make: Callable[[], AIOKafkaProducer],
        timeout_seconds: float = PUBLISH_TIMEOUT_SECONDS,
        partitions: Mapping[str, int] | None = None,
    ) -> None:
        """`partitions` has the number of partitions by topic; it may change, in all processes at the same time."""
        self._producer = ProducerOwner(make)
        self._counts: Mapping[str, int] = {} if partitions is None else partitions
        self._timeout = timeout_seconds
        # aiokafka sends one batch per partition at a time: concurrent calls would starve each other.
        self._locks: KeyedLocks[Destination] = KeyedLocks()
        self._partitions: dict[str, int] = {}
        self._limits = TopicLimits(self._counts)
        # The last producer that had a batch acknowledged.
        self._acknowledged_by: dict[Destination, AIOKafkaProducer] = {}

    async def start(self) -> None:
        """Connect. Raises TransientFailure if no broker answers."""
        await self._producer.current()

    async def prepare(self, topic: str) -> int:
        """Ask which brokers lead the partitions of a topic, before its first record waits for that; gives their number.

        Raises TransientFailure if Kafka does not answer.
        """
        producer = await self._producer.current()
        try:
            async with asyncio.timeout(self._timeout):
                return len(await producer.partitions_for(topic))
        except (KafkaError, TimeoutError) as error:
            raise KafkaAway(f"no metadata for topic {topic}: {error!r}") from error

    async def stop(self) -> None:
        """Close the producer. Records that are not acknowledged yet may be lost; no call has returned for them."""
        await self._producer.stop()

    async def partitions(self, topic: str) -> int:
        """The number of partitions of the topic. Raises TransientFailure if Kafka does not answer."""
        known = self._counts.get(topic) or self._partitions.get(topic)
        if known is None:
            known = self._partitions[topic] = await self.prepare(topic)
        return known

    async def has_topic(self, topic: str) -> bool:
        """Whether the topic exists; the answer holds until the producer is replaced.

        Check it before sending to a name from outside. Raises TransientFailure.
        """
        if topic in self._partitions:
            return True
        producer = await self._producer.current()
        try:
            async with asyncio.timeout(self._timeout):
                cluster = await producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError) as error:
            raise KafkaAway(f"no metadata from Kafka: {error!r}") from error
        if found := cluster.partitions_for_topic(topic):
            self._partitions[topic] = len(found)
        return bool(found)

    async def problem(self) -> str | None:
        """Check whether Kafka answers: None if it does, otherwise what is wrong. The caller sets a deadline."""
        try:
            producer = await self._producer.current()
            await producer.client.fetch_all_metadata()
        except TransientFailure as failure:
            return str(failure)
        except KafkaError as error:
            return str(no_answer(error))
        return None

    @recorded_as_wait("Kafka to take records")
    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Send all and wait until all are acknowledged.

        Raises:
            TransientFailure: any of the records may be stored or not; publish the same records again.
            RecordTooLarge: some records exceed the limit of their topic. The others may be stored or not.
        """
        if not records:
            return
        producer = await self._producer.current()
        deadline = asyncio.get_running_loop().time() + self._timeout
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        for attempt in range(1, PUBLISH_ATTEMPTS + 1):
            if attempt > 1:
                producer = await self._producer.current()
            try:
                async with asyncio.timeout_at(deadline):
                    if attempt > 1:
                        await backoff.pause()
                    await self._send_all(producer, await self._batches(producer, records))
                    return
            except TimeoutError as error:
                # An idempotent batch never expires by itself; replacing the producer keeps old batches from piling up.
                self._replace(producer)
                raise KafkaAway(f"Kafka did not acknowledge within {self._timeout:g} s") from error
            except (*BROKEN_PRODUCER, Oversized) as error:
                # The producer's sequence has a gap, perhaps because of another call's record. The only record to blame
                # is one that is too large, and the limit is known now. Sending a record twice is harmless.
                self._replace(producer)
                failure: Exception = error
            except KafkaError as error:
                if self._producer.is_current(producer):
                    raise KafkaAway(f"Kafka refused the records: {error!r}") from error
                failure = error  # another call has replaced the producer
            except AssertionError as error:
                # aiokafka raises it if it does not know the partition. It may have been added a moment ago.
                producer.client.force_metadata_update()
                failure = error
        raise KafkaAway(f"the producer failed {PUBLISH_ATTEMPTS} times in a row: {failure!r}") from failure

    async def too_large(self, records: Sequence[OutgoingRecord]) -> frozenset[int]:
        """The indexes of the records that exceed the limit of their topic, even alone in a batch, compressed as sent.

        Raises:
            TransientFailure: Kafka does not answer.
        """
        producer = await self._producer.current()
        largest: dict[str, int] = {}
        bounds = [bound(record.key, record.value, record.headers) for record in records]
        for record, size in zip(records, bounds, strict=True):
            largest[record.topic] = max(size, largest.get(record.topic, 0))
        limits = {topic: await self._limits.of(topic, producer, size) for topic, size in largest.items()}
        return frozenset(
            index
            for index, (record, size) in enumerate(zip(records, bounds, strict=True))
            if size > limits[record.topic] and exact(batch_of(producer, record)) > limits[record.topic]
        )

    async def limit(self, topic: str) -> int:
        """Bytes that a batch for this topic may have. Raises TransientFailure if Kafka does not answer."""
        return await self._limits.of(topic, await self._producer.current(), 0)

    async def _refuse_too_large(self, records: Sequence[OutgoingRecord]) -> None:
        if indexes := await self.too_large(records):
            topics = ", ".join(sorted({records[index].topic for index in indexes}))
            raise RecordTooLarge(f"{len(indexes)} record(s) are larger than {topics} takes", indexes)

    async def _batches(self, producer: AIOKafkaProducer, records: Sequence[OutgoingRecord]) -> Batches:
        """All records, in batches within the limits of their topics. Raises RecordTooLarge."""
        by_partition = await self._by_partition(records)
        batches = await self._build(producer, by_partition)
        largest: dict[str, int] = {}
        for (topic, _), built in batches.items():
            largest[topic] = max(largest.get(topic, 0), *(expanded(batch.size()) for batch in built))
        # No record is larger than its batch, and the size of a batch is known without cost.
        if [topic for topic, size in largest.items() if size > await self._limits.of(topic, producer, size)]:
            await self._refuse_too_large(records)
            return await self._build(producer, by_partition)  # a limit may have been lowered
        return batches

    async def _build(
        self, producer: AIOKafkaProducer, by_partition: Mapping[Destination, Sequence[OutgoingRecord]]
    ) -> Batches:
        return {
            destination: batches_of(producer, records, await self._limits.of(destination[0], producer, 0))
            for destination, records in by_partition.items()
        }

    async def _by_partition(self, records: Sequence[OutgoingRecord]) -> dict[Destination, list[OutgoingRecord]]:
        by_partition: dict[Destination, list[OutgoingRecord]] = {}
        for record in records:
            partition = record.partition
            if partition is None:
                partition = partition_of(record.key or b"", await self.partitions(record.topic))
            by_partition.setdefault((record.topic, partition), []).append(record)
        return by_partition

    async def _send_all(self, producer: AIOKafkaProducer, batches: Batches) -> None:
        # Partitions are filled concurrently, so that one request to the broker carries a batch for each.
        if sum(batch.record_count() for built in batches.values() for batch in built) <= SEND_DIRECTLY_MAX:
            await self._send_directly(producer, batches)
        else:
            await run_all([self._send(producer, destination, built) for destination, built in batches.items()])

    async def _send(
        self, producer: AIOKafkaProducer, destination: Destination, batches: Sequence[BatchBuilder]
    ) -> None:
        async with self._locks.of([destination]):
            batches = await self._introduce(producer, destination, batches)
            await self._await_acknowledgements(producer, await enqueue(producer, *destination, batches))
            self._acknowledged_by[destination] = producer

    async def _send_directly(self, producer: AIOKafkaProducer, batches: Batches) -> None:
        async with self._locks.of(batches):
            sent: list[EnqueuedBatch] = []
            for destination, built in batches.items():
                sent += await enqueue(producer, *destination, await self._introduce(producer, destination, built))
            await self._await_acknowledgements(producer, sent)
            self._acknowledged_by.update(dict.fromkeys(batches, producer))

    async def _introduce(
        self, producer: AIOKafkaProducer, destination: Destination, batches: Sequence[BatchBuilder]
    ) -> Sequence[BatchBuilder]:
        """Send the first of several batches alone if the partition does not know the producer. Returns the others.

        A broker accepts any sequence number from a producer that it does not know. If it refused the first batch, it
        would still accept the second one, and the records would be out of order.
        """
        if len(batches) == 1 or self._acknowledged_by.get(destination) is producer:
            return batches
        await self._await_acknowledgements(producer, await enqueue(producer, *destination, batches[:1]))
        return batches[1:]

    async def _await_acknowledgements(self, producer: AIOKafkaProducer, sent: Sequence[EnqueuedBatch]) -> None:
        """Wait for all. Raises Oversized if a broker refuses a batch because of its size, else the first error."""
        results = await asyncio.gather(*(enqueued.acknowledgement for enqueued in sent), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for enqueued, result in zip(sent, results, strict=True):
            if isinstance(result, MessageSizeTooLargeError | RecordListTooLargeError):
                await self._limits.correct(enqueued.topic, producer, enqueued.batch.size())
                failures = [Oversized(repr(result))]
        if failures:
            raise failures[0]

    def _replace(self, broken: AIOKafkaProducer) -> None:
        if self._producer.replace(broken):
            self._partitions.clear()
