"""Reads topics from their end, outside any consumer group, so that every process reads all their records.

Meanwhile a topic may be deleted and created again, lose its latest records, or get more partitions. In each case,
`TopicTail` continues at offsets from which it misses no new record, and reports these offsets.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, UnknownTopicOrPartitionError

from triptych.kit.kafka.clients import REQUEST_TIMEOUT_MS, make_reader, start_client
from triptych.kit.kafka.consuming.lag_tracker import PartitionState
from triptych.kit.kafka.reading.fetch_pace import IDLE_WAIT_MS, FetchPace
from triptych.kit.kafka.reading.reader import IncomingRecord, Reader
from triptych.kit.kafka.refusals import start_failure
from triptych.kit.kafka.topic_facts import TopicFacts, describe_topics
from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.supervision import SUPERVISOR, progress

log = get_logger(__name__)

INTERVAL_SECONDS = 2.0
GATHERING_INTERVALS = 3
"""Who lets records gather can wait longer until a change of the topic is noticed: it is checked as many times rarer."""
METADATA_MAX_AGE_MS = 60_000
"""Partitions are found by the checks of the topics, and a new leader by the error of the former one."""
FETCH_WAIT_MS = 500
"""How long a broker may hold back the response to a fetch for which nothing is gathered: the first record ends it."""

Restarted = Callable[[Mapping[TopicPartition, int]], None]
"""Called with the offsets at which reading continues, if they are not those at which it stopped."""


def resume_at(position: int, beginning: int, end: int) -> int:
    """The offset at which to continue if `position` is not in the topic: it has expired, or the brokers lost it."""
    return beginning if position < beginning else end


class TopicTail:
    """Reads topics from their end; made by `tail`."""

    def __init__(self, reader: Reader, topics: Sequence[str], restarted: Restarted | None, intervals: int = 1) -> None:
        """`intervals` is the time from one check of the topics to the next, in `INTERVAL_SECONDS`."""
        self._intervals = intervals
        self._reader = reader
        self._topics = topics
        self._restarted = restarted
        self._facts: dict[str, TopicFacts] = {}
        self._missing: set[str] = set()

    @property
    def problem(self) -> str | None:
        """Why some records of the topics cannot be read, or None."""
        if self._missing:
            return f"topic {', '.join(sorted(self._missing))} does not exist"
        for topic_partition in self._reader.assignment():
            if trouble := self._reader.trouble(topic_partition):
                return f"{topic_partition.topic}-{topic_partition.partition} cannot be read: {trouble}"
        return None

    def positions(self) -> dict[TopicPartition, int]:
        """The offset of the next record to read, by partition."""
        return dict(self._reader.positions())

    def states(self, topic: str) -> dict[int, PartitionState]:
        """Where reading is in each partition of a topic, and where the partition ends by its broker's last response.

        While fetched records wait to be read, their partition is not fetched, and records after them are not counted.
        """
        states = {}
        for tp, position in self._reader.positions().items():
            if tp.topic == topic:
                end = self._reader.highwater(tp)
                stable = self._reader.last_stable_offset(tp)
                trouble = self._reader.trouble(tp)
                states[tp.partition] = PartitionState(position, end or position, stable, None, trouble)
        return states

    async def start_at_end(self) -> None:
        """Start at the end of the topics, so that all records published from now on are read. Raises KafkaError."""
        found = await describe_topics(self._reader._client, self._topics)
        for topic in self._topics:
            facts = found.get(topic)
            if facts is None:
                raise UnknownTopicOrPartitionError(topic)
            self._facts[topic] = facts
        partitions = self._partitions()
        self._reader._client.set_topics(self._topics)
        self._assign(await self._reader.end_offsets(partitions))

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[IncomingRecord]]:
        """The records that have arrived, waiting up to `timeout_ms` for some. Raises KafkaError."""
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
        """Check whether the topics have changed, and adapt to the change. Raises KafkaError."""
        found = await describe_topics(self._reader._client, self._topics, ConnectionGroup.COORDINATION)
        missing = {topic for topic in self._topics if found.get(topic) is None}
        for topic in missing - self._missing:
            log.error("a topic does not exist any more", topic=topic)
        self._missing = missing
        for topic, facts in found.items():
            if facts is not None and facts != self._facts[topic]:
                self._adapt(topic, facts)

    async def run(self) -> None:
        """Check the topics at each interval until cancelled."""
        while True:
            progress()
            await asyncio.sleep(self._intervals * INTERVAL_SECONDS)
            try:
                await self.check_topics()
            except KafkaError as error:
                log.debug("the topics cannot be checked", error=error)

    def _adapt(self, topic: str, facts: TopicFacts) -> None:
        known, self._facts[topic] = self._facts[topic], facts
        is_same = facts.topic_id == known.topic_id
        positions = self.positions()
        # All records on a new topic or partition were published after reading began.
        offsets = {tp: positions.get(tp, 0) if is_same or tp.topic != topic else 0 for tp in self._partitions()}
        self._assign(offsets)
        if is_same:
            log.warning(
                "a topic has got more partitions", topic=topic, count=facts.partitions, former_count=known.partitions
            )
            return
        log.error("a topic was deleted and created again, and is read from its beginning", topic=topic)
        if self._restarted is not None:
            self._restarted({tp: offset for tp, offset in offsets.items() if tp.topic == topic})

    async def _resume(self, lost: Mapping[TopicPartition, int]) -> None:
        await self.check_topics()  # starts over with a topic that was deleted and created again
        beginnings = await self._reader.beginning_offsets(list(lost))
        ends = await self._reader.end_offsets(list(lost))
        positions = self.positions()
        resumed = {
            tp: resume_at(position, beginnings[tp], ends[tp])
            for tp, position in lost.items()
            if positions.get(tp) == position and not beginnings[tp] <= position <= ends[tp]
        }
        for tp, offset in resumed.items():
            self._reader.seek(tp, offset)
        report(
            log,
            logging.ERROR,
            "an offset does not exist, and reading continues at another one",
            list(resumed),
            lambda tp: {"topic": tp.topic, "partition": tp.partition, "offset": lost[tp], "next_offset": resumed[tp]},
        )
        if resumed and self._restarted is not None:
            self._restarted(resumed)

    def _partitions(self) -> list[TopicPartition]:
        return [TopicPartition(topic, n) for topic, facts in self._facts.items() for n in range(facts.partitions)]

    def _assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        # No await between these calls: otherwise records at other offsets could be fetched.
        self._reader.assign(list(offsets))
        for topic_partition, offset in offsets.items():
            self._reader.seek(topic_partition, offset)


@asynccontextmanager
async def tail(
    settings: KitSettings,
    topics: Sequence[str],
    *,
    gather_ms: int | None = None,
    restarted: Restarted | None = None,
) -> AsyncIterator[TopicTail]:
    """Reads all records that are published to `topics` after the block has begun.

    Args:
        settings: have the address of Kafka.
        topics: to read.
        gather_ms: how long a broker gathers records while some come (`FetchPace`); None if each has to come at once.
        restarted: called when reading does not continue where it stopped, before any record from there.

    Raises:
        NotYetAvailable: no broker answers, or a topic does not exist.
    """
    reader = make_reader(
        settings,
        auto_offset_reset="none",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        pace=None if gather_ms is None else FetchPace(gather_ms),
        request_timeout_ms=REQUEST_TIMEOUT_MS + (0 if gather_ms is None else IDLE_WAIT_MS),
        consumer_timeout_ms=IDLE_WAIT_MS,  # aiokafka's fetching wakes up as often, although its responses wake it too
    )
    await start_client(reader, settings)
    try:
        made = TopicTail(reader, topics, restarted, 1 if gather_ms is None else GATHERING_INTERVALS)
        try:
            await made.start_at_end()
        except KafkaError as error:
            raise await start_failure(settings, error) from None
        async with SUPERVISOR.running(f"topics of a tail of {', '.join(topics)}", made.run):
            yield made
    finally:
        await reader.stop()
