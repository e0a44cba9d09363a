"""Reads dead-letter topics, outside any consumer group: ranges of a partition, single records, and pieces to join.

Memory is bounded: a poll returns few records, since a record may have megabytes when it is decompressed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from triptych.deadletters.model.letter import Letter, joined, read_letter
from triptych.kit.kafka.clients import make_reader, start_client
from triptych.kit.kafka.errors import no_answer
from triptych.kit.kafka.positions import Position
from triptych.kit.kafka.reading.reader import IncomingRecord, Reader
from triptych.kit.kafka.topic_facts import TopicFacts, describe_topics
from triptych.kit.process.settings import KitSettings

ANSWER_SECONDS = 10.0
"""How long Kafka may take for an answer, or to return the next record."""
RECORDS_AT_ONCE = 8
PIECES_SCANNED_MAX = 2_000
"""How many records after the first piece of a dead letter are searched for the other pieces."""
PIECES_BYTES_MAX = 96 * 1024 * 1024
"""Bytes of all pieces of a dead letter. A record has at most 64 MiB, and its pieces are in base64."""
CLOCKS_DIFFER = timedelta(hours=1)
"""Records of different writers may be this much out of order in time."""
FETCH_MAX_WAIT_MS = 10
"""How long a broker waits for more records. The client asks ahead, also after the last record of a stretch, and the
connection is not free for the next partition before the answer."""
_POLL_MS = 500


class Stretch(NamedTuple):
    """A range of offsets of a partition; the record at `end` is not in it."""

    topic: str
    partition: int
    begin: int
    end: int


class LetterLog:
    """A reader of dead-letter topics; made by `open_log`. All methods raise TransientFailure if Kafka is away."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._reading: object = None
        """The reading that has set the reader's position last. Another one has to set it again."""

    async def facts(self, topics: Iterable[str]) -> dict[str, TopicFacts]:
        """The facts of those topics that exist."""
        async with _answering():
            found = await describe_topics(self._reader._client, topics)
        return {topic: facts for topic, facts in found.items() if facts is not None}

    async def beginnings(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The first offset that the topic still has, by partition."""
        async with _answering():
            found = await self._reader.beginning_offsets([TopicPartition(topic, number) for number in partitions])
        return {topic_partition.partition: offset for topic_partition, offset in found.items()}

    async def stretches(
        self, topic: str, partitions: Iterable[int], since: datetime | None = None, until: datetime | None = None
    ) -> list[Stretch]:
        """What has to be read of these partitions for the dead letters of a time range, up to the present end.

        A dead letter that is written while the stretches are read is not in them: a replayed record that is refused
        again is not replayed again.
        """
        numbers = [TopicPartition(topic, number) for number in sorted(partitions)]
        if not numbers:
            return []
        async with _answering():
            begins = dict(await self._reader.beginning_offsets(numbers))
            ends = dict(await self._reader.end_offsets(numbers))
            if since is not None:
                found = await self._reader.offsets_for_times(dict.fromkeys(numbers, _milliseconds(since)))
                begins = {each: ends[each] if at is None else at.offset for each, at in found.items()}
            if until is not None:
                late = _milliseconds(until) + CLOCKS_DIFFER // timedelta(milliseconds=1)
                found = await self._reader.offsets_for_times(dict.fromkeys(numbers, late))
                ends = {each: ends[each] if at is None else min(at.offset, ends[each]) for each, at in found.items()}
        return [
            Stretch(topic, each.partition, begins[each], ends[each]) for each in numbers if begins[each] < ends[each]
        ]

    async def read(self, stretch: Stretch) -> AsyncIterator[Letter]:
        """The records of a stretch in order; expired ones are left out."""
        topic_partition, position = TopicPartition(stretch.topic, stretch.partition), stretch.begin
        me = object()
        while position < stretch.end:
            if self._reading is not me:
                self._reading = me
                self._reader.assign([topic_partition])
                self._reader.seek(topic_partition, position)
            async with _answering():
                records, position = await self._poll(topic_partition, position)
            for record in records:
                if record.offset < stretch.end:
                    yield read_letter(record)

    async def _poll(self, topic_partition: TopicPartition, position: int) -> tuple[list[IncomingRecord], int]:
        """The next records, and the position after them. Waits until there are some, or some were skipped."""
        while True:
            found = await self._reader.getmany(topic_partition, timeout_ms=_POLL_MS, max_records=RECORDS_AT_ONCE)
            after = self._reader.positions().get(topic_partition, position)
            if after > position:
                return found.get(topic_partition, []), after

    async def find(self, position: Position) -> Letter | None:
        """The dead letter that begins at a position, without its other pieces; None if there is none."""
        facts = (await self.facts([position.topic])).get(position.topic)
        if facts is None or position.partition >= facts.partitions:
            return None
        for stretch in await self.stretches(position.topic, [position.partition]):
            if stretch.begin <= position.offset < stretch.end:
                async for letter in self.read(stretch._replace(begin=position.offset, end=position.offset + 1)):
                    return letter if letter.is_first and letter.position == position else None
        return None

    async def whole(self, first: Letter) -> Letter | None:
        """A dead letter with key, value and headers of its record; None if pieces of it are missing.

        Parts follow each other, perhaps with other records between them, or repeated.
        """
        if first.piece is None:
            return first
        values: list[bytes] = []
        topic, partition, begin = first.position
        for stretch in await self.stretches(topic, [partition]):
            end = min(stretch.end, begin + PIECES_SCANNED_MAX)
            async for letter in self.read(Stretch(topic, partition, begin, end)):
                if letter.is_piece_of(first) and letter.piece is not None and letter.piece.number == len(values) + 1:
                    values.append(letter.value or b"")
                    if sum(map(len, values)) > PIECES_BYTES_MAX:
                        return None  # no service has written it
                    if len(values) == first.piece.total:
                        return joined(first, values)
        return None


@asynccontextmanager
async def open_log(settings: KitSettings) -> AsyncIterator[LetterLog]:
    """A reader of its own.

    Raises:
        NotYetAvailable: no broker answers.
        StartRefused: the broker refuses the connection permanently.
    """
    # Records that expire while they are being read are skipped.
    reader = make_reader(settings, auto_offset_reset="earliest", fetch_max_wait_ms=FETCH_MAX_WAIT_MS)
    await start_client(reader, settings)
    try:
        yield LetterLog(reader)
    finally:
        await reader.stop()


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except (KafkaError, TimeoutError) as error:
        raise no_answer(error) from error


def _milliseconds(moment: datetime) -> int:
    return max(0, round(moment.timestamp() * 1000))


def counts_of(facts: Mapping[str, TopicFacts]) -> dict[str, int]:
    """The number of partitions of each topic."""
    return {topic: found.partitions for topic, found in facts.items()}
