"""Lets the consumers of a service follow a change of the number of partitions (`triptych.kit.startup.layouts`).

A key that moves at a growth has its earlier records on a former partition, and its later ones on a new partition. So a
new partition is held until the group has finished the former one up to its end at the growth. Another process may own
that one: the offsets that the group has committed tell.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiokafka import TopicPartition

from triptych.kit.failures import BriefStop, Fault, TransientFailure, fault_of
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.layout import Layout, LiveCounts, TopicLayout, Waits
from triptych.kit.kafka.reading.reader import GroupReader
from triptych.kit.kafka.topic_facts import describe_topics
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.supervision import SUPERVISOR, progress, unlimited
from triptych.kit.startup.layout_watch import LayoutWatch

log = get_logger(__name__)

INTERVAL_SECONDS = 0.5


class LayoutOfConsumer:
    """The layout by which one consumer works: a `Gate`. It changes only when partitions are prepared."""

    def __init__(
        self,
        watch: LayoutWatch,
        counts: LiveCounts,
        topic: str,
        name: str,
        reader_of: Callable[[], GroupReader | None],
        *,
        holds_new: bool,
    ) -> None:
        """
        Args:
            watch: reads the stored layout.
            counts: the numbers by which the service places what it publishes; they change with this layout.
            topic, name: the consumer's topic, and its name without the prefix.
            reader_of: returns the consumer's reader, once it has started.
            holds_new: whether a partition is held until the growth that adds it takes effect.
        """
        self._watch = watch
        self._counts = counts
        self._topic = topic
        self._name = name
        self._reader_of = reader_of
        self._holds_new = holds_new
        self._finished: set[Waits] = set()
        self.layout = Layout(counts.partitions)
        self.of_topic = TopicLayout(counts.partitions)

    async def held(self, partitions: frozenset[int]) -> Mapping[int, str]:
        """See `Gate`: the partitions that wait for a growth, or for a former partition. Adopts the stored layout."""
        layout = await self._watch.read()
        if layout.is_stopped:
            raise BriefStop("partitions are being added to topics, and nothing is written at this moment")
        reader = self._reader_of()
        topic_id = None
        if layout.growths and reader is not None:
            facts = (await describe_topics(reader._client, [self._topic]))[self._topic]
            topic_id = str(facts.topic_id) if facts else None
        if layout.growths != self.layout.growths:
            self._finished = set()
        self.layout, self.of_topic = layout, layout.of_topic(self._name, topic_id)
        self._counts.partitions = layout.partitions
        held = {}
        for partition in partitions:
            if partition >= layout.partitions:
                if self._holds_new:
                    held[partition] = "waits until added partitions are used"
            elif (waits := self.of_topic.waits(partition)) and not await self._is_finished(waits):
                held[partition] = f"waits until partition {waits.partition} is finished up to offset {waits.end}"
        return held

    def place(self, key: str) -> int:
        """The partition of a key by this layout."""
        return self._counts.place(key)

    async def confirm(self) -> None:
        """Make sure that the layout is still the stored one, after partitions were claimed. Raises TransientFailure."""
        if await self._watch.read() != self.layout:
            raise TransientFailure("the number of partitions has changed meanwhile")

    def has_changed(self) -> bool:
        """Whether partitions have to be prepared again, since the layout has changed."""
        layout = self._watch.layout
        return (layout.partitions, layout.growths) != (self.layout.partitions, self.layout.growths)

    def look_for_partitions(self) -> None:
        """Let the group divide partitions as soon as they are added: until then, nobody handles commands on them.

        By itself, a consumer looks every ten seconds (`METADATA_MAX_AGE_MS`).
        """
        layout, reader = self._watch.layout, self._reader_of()
        if reader is not None:
            reader.look_for_partitions(self._topic, max(layout.partitions, layout.growing_to or 0))

    async def finish(self, consumer: BatchConsumer) -> None:
        """Commit what others wait for: the end of a partition may be no record, or its records may have expired.

        Raises:
            KafkaError: Kafka does not answer.
        """
        reader = self._reader_of()
        for partition, end in self.of_topic.ends().items():
            waits = Waits(partition, end)
            if reader is None or waits in self._finished or consumer.reached().get(partition, -1) < end:
                continue
            if await self._is_finished(waits):
                continue
            # What is reached now: a batch may have been finished meanwhile, and its offset must not be set back.
            if (reached := consumer.reached().get(partition, -1)) >= end:
                consumer.commit({partition: reached})

    async def can_release(self, held: Mapping[int, str]) -> bool:
        """Whether one of these held partitions need not wait any longer. Raises KafkaError."""
        for partition in held:
            if partition < self.layout.partitions:
                waits = self.of_topic.waits(partition)
                if waits is None or await self._is_finished(waits):
                    return True
        return False

    async def _is_finished(self, waits: Waits) -> bool:
        if waits in self._finished:
            return True
        reader = self._reader_of()
        if reader is None:
            return False
        committed = await reader.committed(TopicPartition(self._topic, waits.partition))
        if committed is None or committed < waits.end:
            return False
        self._finished.add(waits)
        return True


@asynccontextmanager
async def following_layout(consumer: BatchConsumer, layout: LayoutOfConsumer) -> AsyncIterator[None]:
    """Prepare the consumer's partitions again after each change, until the block ends."""

    async def follow() -> None:
        while True:
            progress()
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                layout.look_for_partitions()
                await layout.finish(consumer)
                if layout.has_changed() or await layout.can_release(consumer.held):
                    with unlimited():  # a batch in progress may wait for a server
                        await consumer.prepare_again()
            except Exception as error:
                if fault_of(error) is Fault.OURS:
                    raise
                log.debug("the number of partitions cannot be followed now", error=error)

    async with SUPERVISOR.running(f"layout of {consumer.label}", follow):
        yield
