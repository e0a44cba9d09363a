"""Follows topics from their end, outside any consumer group: what this process must hear, every process hears.

A topic may be deleted and made again, lose what was read last, or grow while it is followed. Each time, `Tail` goes on
where nothing published since is missed, and tells those who count with places.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, UnknownTopicOrPartitionError

from triptych.kit.kafka.clients import make_reader, start_client
from triptych.kit.kafka.errors import start_failure
from triptych.kit.kafka.reading.reader import IncomingRecord, Reader
from triptych.kit.kafka.topic_facts import TopicFacts, describe_topics
from triptych.kit.process.settings import KitSettings

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0

Restarted = Callable[[Mapping[TopicPartition, int]], None]
"""Is told the offsets from which a topic is heard, when it does not go on where it was."""


def resume_at(position: int, beginning: int, end: int) -> int:
    """Where to go on in a topic that does not have what is at `position`: too old, or lost by the brokers."""
    return beginning if position < beginning else end


class TopicTail:
    """Hears topics; made by `tail`."""

    def __init__(self, reader: Reader, topics: Sequence[str], restarted: Restarted | None) -> None:
        self._reader = reader
        self._topics = topics
        self._restarted = restarted
        self._facts: dict[str, TopicFacts] = {}
        self._missing: set[str] = set()

    @property
    def problem(self) -> str | None:
        """Why something of the topics is not heard, or None."""
        if self._missing:
            return f"topic {', '.join(sorted(self._missing))} does not exist"
        for place in self._reader.assignment():
            if trouble := self._reader.trouble(place):
                return f"{place.topic}-{place.partition} cannot be read: {trouble}"
        return None

    def positions(self) -> dict[TopicPartition, int]:
        """The offset of the next record to hear, by place."""
        return dict(self._reader.positions())

    async def begin(self) -> None:
        """Hear everything that is published from now on. Raises KafkaError."""
        found = await describe_topics(self._reader._client, self._topics)
        for topic in self._topics:
            facts = found.get(topic)
            if facts is None:
                raise UnknownTopicOrPartitionError(topic)
            self._facts[topic] = facts
        places = self._places()
        self._reader._client.set_topics(self._topics)
        self._assign(await self._reader.end_offsets(places))

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[IncomingRecord]]:
        """The records that have come, waiting for some. Raises KafkaError."""
        try:
            return await self._reader.getmany(timeout_ms=timeout_ms)
        except OffsetOutOfRangeError as error:
            await self._resume(error.args[0])
            return {}

    async def getone(self) -> IncomingRecord:
        """The next record. Raises KafkaError."""
        while True:
            try:
                return await self._reader.getone()
            except OffsetOutOfRangeError as error:
                await self._resume(error.args[0])

    def __aiter__(self) -> "TopicTail":
        return self

    async def __anext__(self) -> IncomingRecord:
        return await self.getone()

    async def check_topics(self) -> None:
        """Find out whether the topics are what they were, and follow them if not. Raises KafkaError."""
        found = await describe_topics(self._reader._client, self._topics)
        missing = {topic for topic in self._topics if found.get(topic) is None}
        for topic in missing - self._missing:
            log.error("topic %s does not exist any more", topic)
        self._missing = missing
        for topic, facts in found.items():
            if facts is not None and facts != self._facts[topic]:
                self._follow(topic, facts)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.check_topics()
            except KafkaError as error:
                log.debug("cannot look at %s: %r", self._topics, error)
            except Exception:
                log.exception("cannot look at %s", self._topics)

    def _follow(self, topic: str, facts: TopicFacts) -> None:
        known, self._facts[topic] = self._facts[topic], facts
        is_same = facts.topic_id == known.topic_id
        positions = self.positions()
        # Everything on a new topic or partition was published after this one began to listen.
        offsets = {place: positions.get(place, 0) if is_same or place.topic != topic else 0 for place in self._places()}
        self._assign(offsets)
        if is_same:
            log.warning("topic %s has %d partitions now, and had %d", topic, facts.partitions, known.partitions)
            return
        log.error("topic %s was deleted and made again; it is heard from its beginning", topic)
        if self._restarted is not None:
            self._restarted({place: offset for place, offset in offsets.items() if place.topic == topic})

    async def _resume(self, lost: Mapping[TopicPartition, int]) -> None:
        await self.check_topics()  # which begins anew with a topic that was made again
        beginnings = await self._reader.beginning_offsets(list(lost))
        ends = await self._reader.end_offsets(list(lost))
        positions = self.positions()
        places = {
            place: resume_at(position, beginnings[place], ends[place])
            for place, position in lost.items()
            if positions.get(place) == position and not beginnings[place] <= position <= ends[place]
        }
        for place, offset in places.items():
            log.error("%s-%d: offset %d is not there; hearing goes on at %d", *place, lost[place], offset)
            self._reader.seek(place, offset)
        if places and self._restarted is not None:
            self._restarted(places)

    def _places(self) -> list[TopicPartition]:
        return [TopicPartition(topic, n) for topic, facts in self._facts.items() for n in range(facts.partitions)]

    def _assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        # Without a pause between: nothing must be fetched from anywhere else.
        self._reader.assign(list(offsets))
        for place, offset in offsets.items():
            self._reader.seek(place, offset)


@asynccontextmanager
async def tail(
    settings: KitSettings,
    topics: Sequence[str],
    *,
    max_wait_ms: int = 500,
    min_bytes: int = 1,
    restarted: Restarted | None = None,
) -> AsyncIterator[TopicTail]:
    """Hears everything published to `topics` after this has been entered.

    Args:
        settings: where Kafka is.
        topics: to follow.
        max_wait_ms: how long the broker lets one fetch wait.
        min_bytes: how much it lets come together meanwhile before it answers; with 1, each record at once.
        restarted: is called when a topic is not heard from where it was, before any record from there.

    Raises:
        NotYetAvailable: no broker answers, or a topic does not exist.
    """
    reader = make_reader(settings, auto_offset_reset="none", fetch_max_wait_ms=max_wait_ms, fetch_min_bytes=min_bytes)
    await start_client(reader, settings)
    task: asyncio.Task[None] | None = None
    try:
        made = TopicTail(reader, topics, restarted)
        try:
            await made.begin()
        except KafkaError as error:
            raise start_failure(settings, error) from None
        task = asyncio.create_task(made.run())
        yield made
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await reader.stop()
