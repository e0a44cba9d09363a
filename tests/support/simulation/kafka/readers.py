"""Readers outside of groups, as the simulated services use them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from aiokafka import TopicPartition

from tests.support.simulation.kafka.broker import Broker
from triptych.kit.kafka.reading.reader import IncomingRecord


class Reader:
    """A consumer outside of any group."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._positions: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Close the connections."""

    def subscribe(self, topics: Sequence[str]) -> None:
        """Read all partitions of these topics."""
        self.assign([TopicPartition(name, one) for name in topics for one in range(len(self._broker.topics[name]))])

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Read these partitions."""
        self._positions = dict.fromkeys(partitions, 0)

    def assignment(self) -> set[TopicPartition]:
        """What is read."""
        return set(self._positions)

    async def seek_to_beginning(self) -> None:
        """Read all partitions from their beginning."""
        self._positions = dict.fromkeys(self._positions, 0)

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition. Raises KafkaError."""
        wanted = list(partitions)
        return await self._broker.call(
            lambda: {one: self._broker.topics[one.topic][one.partition].end for one in wanted}
        )

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from here."""
        self._positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        """The offset of the next record."""
        return self._positions[partition]

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int = 1
    ) -> dict[TopicPartition, list[IncomingRecord]]:
        """The next records. Raises KafkaError."""
        at = {one: self._positions[one] for one in partitions or self._positions}

        def fetch() -> dict[TopicPartition, list[IncomingRecord]]:
            left, found = max_records, {}
            for one, position in at.items():
                log = self._broker.topics[one.topic][one.partition]
                found[one] = list(log.read(position, left))
                left -= len(found[one])
                beginnings[one] = log.beginning
            return found

        beginnings: dict[TopicPartition, int] = {}
        fetched = {one: records for one, records in (await self._broker.call(fetch)).items() if records}
        for one, beginning in beginnings.items():
            if self._positions.get(one) == at[one]:  # otherwise somebody has sought meanwhile
                # Where the records before have expired, a consumer begins at the first one that is left.
                self._positions[one] = fetched[one][-1].offset + 1 if one in fetched else max(at[one], beginning)
        if not fetched and timeout_ms:
            await self._broker.wait_for_records(sorted({one.topic for one in at}), timeout_ms / 1000)
        return fetched


class Tail:
    """Reads topics from their end."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._waiting: list[IncomingRecord] = []

    async def getone(self) -> IncomingRecord:
        """The next record. Raises KafkaError."""
        while not self._waiting:
            for records in (await self._reader.getmany(timeout_ms=1_000, max_records=100)).values():
                self._waiting += records
        return self._waiting.pop(0)


@asynccontextmanager
async def tail(broker: Broker, topics: Sequence[str]) -> AsyncIterator[Tail]:
    """Instead of `triptych.kit.kafka.reading.tail.tail`."""
    reader = Reader(broker)
    places = [TopicPartition(topic, one) for topic in topics for one in range(len(broker.topics[topic]))]
    reader.assign(places)
    for place in places:
        log = broker.topics[place.topic][place.partition]
        reader.seek(place, await broker.call(partial(getattr, log, "end")))
    yield Tail(reader)
