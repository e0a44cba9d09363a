"""Audits the joined topic: finds records that a former owner has published after it lost its partitions.

A process may be paused between reading a gallery and publishing it. It then publishes an outdated record, and Kafka
accepts it. The owner of a partition detects such records: it counts the records that it has published since it claimed
the partition, or since the last audit, and reads the new records when the partition has grown by another number. It
republishes what is outdated among them, so that the compacted partition ends with the right records. The offset up to
which the partition was checked is stored. The next owner starts there, and reads what was published before its claim.
"""

from collections import Counter
from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from typing import TypeAlias

import orjson
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from triptych.contract.joined import parse_key
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_reader
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.offsets import TopicOffsets
from triptych.kit.mongo.driver import Collection, Database, UpdateOne
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.supervision import progress

COLLECTION = "joined_offsets"
RECORDS_AT_ONCE = 5_000
POLL_MS = 200

Latest: TypeAlias = Mapping[bytes, int | None]
"""The sequence in the last record of each key; None for a tombstone."""


class AuditedJoinPublisher:
    """Publishes to the joined topic, and detects the records of other processes on the partitions owned."""

    def __init__(self, settings: KitSettings, topic: str, publisher: Publisher, database: Database) -> None:
        self._settings = settings
        self._topic = topic
        self._publisher = publisher
        self._stored: Collection = database[COLLECTION]
        self._checked: dict[int, int] = {}
        self._expected: dict[int, int | None] = {}
        """The end of each partition if no other process has published; None if it is not known."""
        self._claimed: dict[int, int] = {}
        """The end of each partition when it was claimed. What is between `_checked` and here must be read."""
        self._audited_until: dict[int, int] = {}
        self._offsets = TopicOffsets(settings, topic)

    async def start_watching(self, partitions: Iterable[int]) -> None:
        """Start to watch these partitions, from the offset that their former owner has stored.

        Raises:
            TransientFailure: Kafka does not answer.
        """
        partitions = list(partitions)
        stored = await self._load(partitions)
        ends = await self._offsets.ends(partitions)
        self._checked = {partition: stored.get(partition, 0) for partition in partitions}
        self._expected, self._claimed = dict(ends), dict(ends)
        await self._store(dict.fromkeys(self._checked.keys() - stored.keys(), 0))

    def stop_watching(self) -> None:
        """Stop watching; the next owner starts at the stored offset."""
        self._checked, self._expected, self._claimed, self._audited_until = {}, {}, {}, {}

    async def publish(self, records: Sequence[OutgoingRecord], others: Sequence[OutgoingRecord] = ()) -> None:
        """Publish joined records whose partitions are given, and records for other topics, all at the same time.

        Raises TransientFailure, as `Publisher.publish` does.
        """
        try:
            await self._publisher.publish([*records, *others])
        except BaseException:
            self._expected.update(dict.fromkeys({record.partition or 0 for record in records} & self._expected.keys()))
            raise
        for partition, count in Counter([record.partition or 0 for record in records]).items():
            expected = self._expected.get(partition)
            if expected is not None:
                self._expected[partition] = expected + count

    async def suspects(self, partitions: Container[int]) -> AsyncIterator[Latest]:
        """The records that other processes may have published to these partitions since the last audit, in chunks.

        The caller must publish nothing but corrections until it has called `mark_checked`.

        Raises:
            TransientFailure: Kafka does not answer.
        """
        ends = await self._offsets.ends([number for number in self._checked if number in partitions])
        await self._start_over([number for number, end in ends.items() if self._checked.get(number, 0) > end])
        ranges = {}
        for partition, end in ends.items():
            checked, claimed = self._checked.get(partition, end), self._claimed.get(partition, end)
            is_ours = self._expected.get(partition) == end
            if checked < claimed or not is_ours:
                # Our own records show which former ones they replaced. A backlog of them costs more than it shows.
                is_backlog = is_ours and end - claimed > RECORDS_AT_ONCE
                ranges[partition] = (checked, claimed if is_backlog else end)
                self._expected[partition] = None
        self._audited_until = ends
        if any(start < end for start, end in ranges.values()):
            async for latest in self._read(ranges):
                yield latest

    async def _start_over(self, partitions: Sequence[int]) -> None:
        """Check these partitions from their beginning: the topic was deleted and created again."""
        for partition in partitions:
            self._checked[partition], self._expected[partition] = 0, None
        await self._store(dict.fromkeys(partitions, 0))

    async def mark_checked(self, republished: Mapping[int, int]) -> None:
        """End an audit: its partitions are right up to the end that it has read.

        Args:
            republished: the number of records that corrected the topic, by partition.
        """
        audited_until, self._audited_until = self._audited_until, {}
        checked = {number: end for number, end in audited_until.items() if number in self._checked}
        advanced = {number: end for number, end in checked.items() if end != self._checked[number]}
        self._checked.update(checked)
        self._expected.update({number: end + republished.get(number, 0) for number, end in checked.items()})
        await self._store(advanced)

    async def stop(self) -> None:
        """Close the reader."""
        await self._offsets.stop()

    async def _read(self, ranges: Mapping[int, tuple[int, int]]) -> AsyncIterator[Latest]:
        consumer = make_reader(self._settings, auto_offset_reset="earliest")
        try:
            await consumer.start()
            ends = {TopicPartition(self._topic, number): end for number, (start, end) in ranges.items() if start < end}
            consumer.assign(list(ends))
            for partition in ends:
                consumer.seek(partition, ranges[partition.partition][0])
            while ends:
                latest: dict[bytes, int | None] = {}
                found = await consumer.getmany(*ends, timeout_ms=POLL_MS, max_records=RECORDS_AT_ONCE)
                for records in found.values():
                    latest.update((record.key, sequence_of(record.value)) for record in records if _is_ours(record.key))
                progress()
                if latest:
                    yield latest
                ends = {partition: end for partition, end in ends.items() if await consumer.position(partition) < end}
        except KafkaError as error:
            raise TransientFailure(f"cannot read {self._topic}: {error!r}") from error
        finally:
            await consumer.stop()

    async def _load(self, partitions: Iterable[int]) -> dict[int, int]:
        ids = {self._id(partition): partition for partition in partitions}
        stored = await self._stored.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {ids[found["_id"]]: int(found["checked"]) for found in stored}

    async def _store(self, offsets: Mapping[int, int]) -> None:
        writes = [
            UpdateOne({"_id": self._id(partition)}, {"$set": {"checked": offset}}, upsert=True)
            for partition, offset in offsets.items()
        ]
        if writes:  # in one request, because the projection waits for it
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
    """The sequence in a record's value: None for a tombstone, -1 for a value that the projector cannot have written."""
    if value is None:
        return None
    try:
        return int(orjson.loads(value)["sequence"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return -1
