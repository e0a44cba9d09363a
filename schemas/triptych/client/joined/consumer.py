"""Owns `GalleryConsumer`: the loop that reads the joined topic into a storage, alone or in a consumer group."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from triptych.client.galleries import TOMBSTONE_RETENTION
from triptych.client.joined.memory import MemoryStorage
from triptych.client.joined.positions import end_of, position_of, start_at
from triptych.client.joined.rules import Change, feed, whole
from triptych.client.joined.storage import GalleryStorage, Position
from triptych.client.kafka import (
    AIOKafkaConsumer,
    ConsumerRebalanceListener,
    ConsumerRecord,
    TopicPartition,
    WholeTopic,
    connection,
    open_by,
)
from triptych.contract.topics import Topics

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 30.0
BATCH_RECORDS = 200
POLL_MS = 1000
IDLE_SECONDS = 60.0
"""How often the position is stored while nothing is published: a state that nobody changes does not become outdated."""

HANDLING_SECONDS = 5.0
"""How long a partition that goes to another member of the group waits until its last batch is handled."""

Unreadable = Callable[["ConsumerRecord[Any, Any]", ValueError], None]
"""Called with a record that is not one of the joined topic, and why."""


class GalleryConsumer:
    """Reads the joined topic into a storage, and says which galleries have changed.

        async with GalleryConsumer("127.0.0.1:9092", SQLiteStorage("galleries.db")) as galleries:
            async for change in galleries:
                print(galleries.get(change.gallery_id))

    A change is told at least once: it is stored when the loop asks for the next change after those of its batch. If the
    loop ends with an error, or the process dies, changes that were not handled to the end are told again. Several
    changes of a gallery in one batch are told as one.

    Without a group, every instance reads all partitions. With one, instances share them. The state of a partition stays
    in the storage of an instance that loses the partition, is not shown, and is continued if the partition comes back.

    The iteration raises KafkaError if a batch of records cannot be read.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        storage: GalleryStorage | None = None,
        *,
        group_id: str | None = None,
        topic_prefix: str = "triptych.",
        deadline: float = DEADLINE_SECONDS,
        on_unreadable: Unreadable | None = None,
        **kafka: Any,
    ) -> None:
        """Nothing is connected before the block is entered.

        Args:
            bootstrap_servers: addresses of Kafka.
            storage: where the galleries are; in memory if None. It is closed when the block ends.
            group_id: the consumer group whose members share the partitions; None to read all of them.
            topic_prefix: that of the installation.
            deadline: seconds that entering the block may take.
            on_unreadable: called with each record that is not one of the joined topic. Without it, they are logged.
                Reading continues in both cases.
            kafka: further arguments of aiokafka's consumer, for TLS and authentication.
        """
        self._topic = Topics(topic_prefix).galleries
        self._storage: GalleryStorage = MemoryStorage() if storage is None else storage
        self._group_id = group_id
        self._deadline = deadline
        self._on_unreadable = on_unreadable or _log_unreadable
        self._connection = connection(bootstrap_servers, kafka)
        self._consumer: AIOKafkaConsumer | None = None
        self._whole: WholeTopic | None = None
        self._changes: dict[str, Change] = {}
        self._untold: deque[Change] = deque()
        self._has_unstored = False
        self._last_at: dict[int, datetime] = {}
        self._reached: set[TopicPartition] = set()
        self._stored_at = time.monotonic()
        self._is_handled = asyncio.Event()
        self._is_handled.set()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect. Raises KafkaUnavailable if Kafka does not answer by the deadline, or lacks the topic."""
        await open_by(self._deadline, self._connection["bootstrap_servers"], self._connect)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Store what was handled, unless the block ends with an error, and close the connection and the storage."""
        try:
            if kind is None and not self._untold:
                await self._store()
            else:
                self._storage.rollback()
            self._is_handled.set()
        finally:
            self._consumer = None
            await self._open.aclose()
            self._storage.close()

    def __aiter__(self) -> Self:
        """Changes without end."""
        return self

    async def __anext__(self) -> Change:
        """The next change; whoever asks for it has handled the one before."""
        if self._consumer is None:
            raise RuntimeError("changes are read within `async with GalleryConsumer(...)`")
        while not self._untold:
            if self._has_unstored or time.monotonic() > self._stored_at + IDLE_SECONDS:
                await self._store()
            self._is_handled.set()
            await self._look(self._consumer)
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
            if fetched:
                self._is_handled.clear()
                try:
                    self._feed(fetched.values())
                except BaseException:
                    # The storage or `on_unreadable` has failed: whoever asks again gets these records again.
                    self._storage.rollback()
                    self._has_unstored = False
                    for partition, records in fetched.items():
                        self._consumer.seek(partition, records[0].offset)
                    raise
                self._untold.extend(self._changes.values())
                self._changes.clear()
        return self._untold.popleft()

    @property
    def is_caught_up(self) -> bool:
        """Whether all records that were there at the start have been read: what `get` returns is not an older state."""
        assigned = self._consumer.assignment() if self._consumer is not None else set()
        return bool(assigned) and assigned <= self._reached

    def get(self, gallery_id: str) -> dict[str, Any] | None:
        """A gallery of the contract, section 3.1, with all its items in display order, or None.

        None also says that the gallery is on a partition of another member of the group.
        """
        return whole(self._storage, gallery_id) if self._is_ours(gallery_id) else None

    def items(self, gallery_id: str, after: float | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Up to `limit` items of a gallery in display order, after the item with this sort order."""
        return self._storage.items(gallery_id, after, limit) if self._is_ours(gallery_id) else []

    def __iter__(self) -> Iterator[str]:
        """The ids of the galleries that `get` returns."""
        return (gallery_id for gallery_id in self._storage.gallery_ids() if self._is_ours(gallery_id))

    def _is_ours(self, gallery_id: str) -> bool:
        if self._group_id is None or self._consumer is None:
            return True
        head = self._storage.head(gallery_id)
        return head is not None and TopicPartition(self._topic, head.partition) in self._consumer.assignment()

    def _feed(self, fetched: Iterable[list["ConsumerRecord[Any, Any]"]]) -> None:
        """Process records; the last change of each gallery is noted."""
        self._has_unstored = True
        for record in (record for records in fetched for record in records):
            self._last_at[record.partition] = datetime.fromtimestamp(record.timestamp / 1000, UTC)
            try:
                change = feed(self._storage, record.partition, record.key or b"", record.value)
            except ValueError as error:
                self._on_unreadable(record, error)
            else:
                if change is not None:
                    self._changes[change.gallery_id] = change

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Notice new partitions, and whether the end of each partition has been reached."""
        if self._whole is not None:
            await self._whole.add_new_partitions()
        for partition in consumer.assignment() - self._reached:
            end = end_of(consumer, partition)
            if end is not None and (await position_of(consumer, partition) or 0) >= end.offset:
                self._reached.add(partition)

    async def _store(self) -> None:
        """Store the state with the positions after its last records, in one transaction."""
        assert self._consumer is not None  # noqa: S101 - called within the block only
        known = self._storage.positions()
        for partition in self._consumer.assignment():
            offset = await position_of(self._consumer, partition)
            end = end_of(self._consumer, partition)
            number = partition.partition
            if offset is not None and end is not None and offset >= end.offset:
                self._storage.set_position(number, Position(offset, end.read_until))
            elif offset is not None and (at := self._last_at.get(number)) is not None:
                self._storage.set_position(number, Position(offset, at))
            elif offset is not None and number in known:
                self._storage.set_position(number, known[number]._replace(offset=offset))
        self._storage.commit()
        self._has_unstored = False
        self._stored_at = time.monotonic()

    async def _connect(self) -> None:
        """Raises KafkaError."""
        async with AsyncExitStack() as opened:
            consumer = AIOKafkaConsumer(
                **self._connection,
                group_id=self._group_id,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
            )
            opened.push_async_callback(consumer.stop)
            await consumer.start()
            topic = WholeTopic(consumer, self._topic)
            await topic.require()
            if self._group_id is None:
                topic.assign(await self._start_at(consumer, await topic.find()))
                self._whole = topic
            else:
                consumer.subscribe([self._topic], listener=_Rebalances(self, consumer))
            self._consumer = consumer
            self._open = opened.pop_all()

    async def _start_at(
        self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The offsets at which to begin. A state that is too old is forgotten. Raises KafkaError."""
        asked = list(partitions)
        beginnings, ends = await consumer.beginning_offsets(asked), await consumer.end_offsets(asked)
        known = self._storage.positions()
        offsets = {}
        for one in asked:
            position = known.get(one.partition)
            offset = start_at(position, beginnings[one], ends[one], datetime.now(UTC) - TOMBSTONE_RETENTION)
            if offset is None:
                log.warning("%s-%d is read from its beginning: the stored state is too old", *one)
                self._storage.forget(one.partition)
            offsets[one] = beginnings[one] if offset is None else offset
            self._last_at.pop(one.partition, None)
            self._reached.discard(one)
        return offsets


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
    """What happens when partitions come to this member of the group, or go."""

    def __init__(self, owner: GalleryConsumer, consumer: AIOKafkaConsumer) -> None:
        self._owner = owner
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the loop handle and store its last batch, so that another member does not handle it meanwhile."""
        del revoked  # a batch has records of any partition
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HANDLING_SECONDS):
                await self._owner._is_handled.wait()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Begin where the stored state ends."""
        for partition, offset in (await self._owner._start_at(self._consumer, assigned)).items():
            if partition in self._consumer.assignment():
                self._consumer.seek(partition, offset)


def _log_unreadable(record: "ConsumerRecord[Any, Any]", error: ValueError) -> None:
    where = (record.topic, record.partition, record.offset)
    log.error("%s-%d@%d is not a record of the joined topic: %s", *where, error)
