"""Watches over the joined topic: finds what a former owner has published there after it lost its partitions.

A process that is paused between reading a gallery and publishing it wakes up with an outdated record, and Kafka takes
it. That cannot be prevented, but it cannot pass unnoticed: whoever owns a partition knows how many records it has put
there since it last looked, and looks at those in between when the partition has grown by any other number. What is
outdated among them gets published anew, so that a compacted partition ends with what is right. How far the partition
is known to be right is stored, and the next owner begins there.
"""

from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from typing import TypeAlias

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from triptych.contract.joined import parse_key
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_reader
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.mongo.driver import Collection, Database, UpdateOne
from triptych.kit.process.settings import KitSettings

COLLECTION = "joined_offsets"
RECORDS_AT_ONCE = 5_000
POLL_MS = 200

Latest: TypeAlias = Mapping[bytes, int | None]
"""The sequence in the last record of each key; None for a tombstone."""


class AuditedJoinPublisher:
    """Publishes to the partitions of the joined topic that this process owns, and knows what else is there."""

    def __init__(self, settings: KitSettings, topic: str, publisher: Publisher, database: Database) -> None:
        self._settings = settings
        self._topic = topic
        self._publisher = publisher
        self._stored: Collection = database[COLLECTION]
        self._checked: dict[int, int] = {}
        self._sent: dict[int, int | None] = {}
        """Own records since `_checked`, by partition; None if that is not known."""
        self._looked_until: dict[int, int] = {}
        self._reader: AIOKafkaConsumer | None = None

    async def own(self, partitions: Iterable[int]) -> None:
        """Begin to watch over these partitions, from where their former owner has left off."""
        partitions = list(partitions)
        stored = await self._load(partitions)
        self._checked = {partition: stored.get(partition, 0) for partition in partitions}
        self._sent = dict.fromkeys(partitions)
        await self._store(dict.fromkeys(self._checked.keys() - stored.keys(), 0))

    def stop_watching(self) -> None:
        """Stop watching; the next owner goes on from what is stored."""
        self._checked, self._sent, self._looked_until = {}, {}, {}

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Publish records whose partitions are given. Raises TransientFailure, as `Publisher.publish` does."""
        try:
            await self._publisher.publish(records)
        except BaseException:
            self._sent.update(dict.fromkeys({record.partition or 0 for record in records} & self._sent.keys()))
            raise
        for record in records:
            partition = record.partition or 0
            count = self._sent.get(partition)
            if count is not None:
                self._sent[partition] = count + 1

    async def suspects(self, partitions: Container[int]) -> AsyncIterator[Latest]:
        """What others may have published to these partitions since the last look, in parts.

        Nothing may be published meanwhile but what mends it; `settle` ends the look.

        Raises:
            TransientFailure: Kafka does not answer.
        """
        try:
            ends = await self._ends([number for number in self._checked if number in partitions])
            ranges = {}
            await self._begin_anew([number for number, end in ends.items() if self._checked.get(number, 0) > end])
            for partition, end in ends.items():
                sent, checked = self._sent.get(partition), self._checked.get(partition, end)
                if sent is None or checked + sent != end:
                    ranges[partition] = (checked, end)
                    self._sent[partition] = None
            self._looked_until = ends
            if any(start < end for start, end in ranges.values()):
                async for part in self._read(ranges):
                    yield part
        except KafkaError as error:
            raise TransientFailure(f"cannot look at {self._topic}: {error!r}") from error

    async def _begin_anew(self, partitions: Sequence[int]) -> None:
        """The topic was made again: nothing of it is known to be right."""
        for partition in partitions:
            self._checked[partition], self._sent[partition] = 0, None
        await self._store(dict.fromkeys(partitions, 0))

    async def settle(self, mended: Mapping[int, int]) -> None:
        """What was looked at is right now; `mended` says how many records that took, by partition."""
        looked_until, self._looked_until = self._looked_until, {}
        right = {number: end for number, end in looked_until.items() if number in self._checked}
        moved = {number: end for number, end in right.items() if end != self._checked[number]}
        self._checked.update(right)
        self._sent.update({number: mended.get(number, 0) for number in right})
        await self._store(moved)

    async def stop(self) -> None:
        """Close the reader."""
        if self._reader is not None:
            await self._reader.stop()

    async def _read(self, ranges: Mapping[int, tuple[int, int]]) -> AsyncIterator[Latest]:
        consumer = make_reader(self._settings, auto_offset_reset="earliest")
        await consumer.start()
        try:
            ends = {TopicPartition(self._topic, number): end for number, (start, end) in ranges.items() if start < end}
            consumer.assign(list(ends))
            for place in ends:
                consumer.seek(place, ranges[place.partition][0])
            while ends:
                latest: dict[bytes, int | None] = {}
                found = await consumer.getmany(*ends, timeout_ms=POLL_MS, max_records=RECORDS_AT_ONCE)
                for records in found.values():
                    latest.update((record.key, sequence_of(record.value)) for record in records if _is_ours(record.key))
                if latest:
                    yield latest
                ends = {place: end for place, end in ends.items() if await consumer.position(place) < end}
        finally:
            await consumer.stop()

    async def _ends(self, partitions: Iterable[int]) -> dict[int, int]:
        reader = await self._reading()
        ends = await reader.end_offsets([TopicPartition(self._topic, number) for number in partitions])
        return {place.partition: end for place, end in ends.items()}

    async def _reading(self) -> AIOKafkaConsumer:
        if self._reader is None:
            reader = make_reader(self._settings)
            try:
                await reader.start()
            except BaseException:
                await reader.stop()
                raise
            self._reader = reader
        return self._reader

    async def _load(self, partitions: Iterable[int]) -> dict[int, int]:
        ids = {self._id(partition): partition for partition in partitions}
        stored = await self._stored.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {ids[found["_id"]]: int(found["checked"]) for found in stored}

    async def _store(self, offsets: Mapping[int, int]) -> None:
        writes = [
            UpdateOne({"_id": self._id(partition)}, {"$set": {"checked": offset}}, upsert=True)
            for partition, offset in offsets.items()
        ]
        if writes:  # at once: whoever wants to project waits meanwhile
            await self._stored.bulk_write(writes, ordered=False)

    def _id(self, partition: int) -> str:
        return f"{self._topic}/{partition}"


def _is_ours(key: bytes | None) -> bool:
    try:
        parse_key(key or b"")
    except ValueError:
        return False
    return True


def sequence_of(value: bytes | None) -> int | None:
    """-1 for a record that we cannot have written."""
    if value is None:
        return None
    try:
        return int(orjson.loads(value)["sequence"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return -1
