"""`BatchConsumer` hands lanes to its handler: concurrently, in order per partition, committed together at the end."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from triptych.kit.failures import OwnershipLost, TransientFailure
from triptych.kit.kafka.consuming import commits
from triptych.kit.kafka.consuming import consumer as consumer_module
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.consuming.finishing import ATTEMPTS_BEFORE_DEAD_LETTER
from triptych.kit.kafka.consuming.lanes import Lanes
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.kafka.reading.subscription import GroupTimes

TOPIC = "topic"
PARTITIONS = 4
ALL = {TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)}


class Handler:
    """Notes what it is given; `before` may wait or raise at the beginning of a lane."""

    def __init__(self, before: Callable[[Sequence[IncomingRecord]], Awaitable[None]]) -> None:
        self._before = before
        self.preparations = 0
        self.handled: defaultdict[int, list[int]] = defaultdict(list)
        """The offsets of finished records, by partition."""
        self.calls: list[list[int]] = []
        """The partitions of each call."""
        self.busy: Counter[int] = Counter()

    async def assigned(self, partitions: frozenset[int]) -> None:
        self.preparations += 1

    async def released(self) -> None:
        """Nothing to do."""

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        """Nothing to do."""

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        partitions = sorted({record.partition for record in records})
        self.calls.append(partitions)
        self.busy.update(partitions)
        assert max(self.busy.values()) == 1, "a partition is in two lanes at the same time"
        try:
            await self._before(records)
        finally:
            self.busy.subtract(partitions)
        for record in records:
            self.handled[record.partition].append(record.offset)


class Subscription:
    """Instead of FastStream's subscriber and Kafka's consumer: delivers batches, and notes commits."""

    def __init__(self, consume: Any, on_batch: Any) -> None:
        self._consume = consume
        self._on_batch = on_batch
        self._positions: dict[TopicPartition, int] = {}
        self.committed: dict[TopicPartition, int] = {}
        self.consumer = self

    def positions(self) -> dict[TopicPartition, int]:
        return self._positions

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed.update(offsets)

    async def deliver(self, records: Sequence[IncomingRecord]) -> None:
        for record in records:
            self._positions[TopicPartition(TOPIC, record.partition)] = record.offset + 1
        self._on_batch(records)
        async with asyncio.timeout(20):
            await self._consume(records)


class Letters:
    def __init__(self) -> None:
        self.records: list[IncomingRecord] = []

    async def dead_letter(self, record: IncomingRecord, reason: str, error: str, attempts: int) -> None:
        assert (reason, attempts) == ("handler-failed", ATTEMPTS_BEFORE_DEAD_LETTER)
        self.records.append(record)


class Consuming:
    """A consumer that owns all partitions and splits its batches into up to two lanes."""

    def __init__(self, before: Callable[[Sequence[IncomingRecord]], Awaitable[None]]) -> None:
        self.handler = Handler(before)
        self.letters = Letters()
        self.subscription: Subscription

    @asynccontextmanager
    async def running(
        self,
        monkeypatch: pytest.MonkeyPatch,
        times: GroupTimes = GroupTimes(),  # noqa: B008 - immutable
    ) -> AsyncIterator[BatchConsumer]:
        def subscribe(_broker: Any, _topic: str, _group: str, consume: Any, on_batch: Any, *_: Any, **__: Any) -> Any:
            self.subscription = Subscription(consume, on_batch)
            return self.subscription

        monkeypatch.setattr(consumer_module, "subscribe", subscribe)
        monkeypatch.setattr(commits, "COMMIT_SECONDS", 0.0)
        consumer = BatchConsumer(
            cast("Any", None),
            TOPIC,
            "group",
            self.handler,
            cast("DeadLetterPublisher", self.letters),
            lanes=Lanes(2, from_records=2),
            times=times,
        )
        await consumer.on_partitions_assigned(ALL)
        try:
            yield consumer
        finally:
            await consumer.on_partitions_revoked(ALL)  # waits for the commit


def batch(*partitions: int, count: int = 5, first: int = 0) -> list[IncomingRecord]:
    return [
        ConsumerRecord(TOPIC, partition, first + number, 0, 0, None, b"", None, 0, 0, ())
        for partition in partitions
        for number in range(count)
    ]


def numbers(count: int) -> list[int]:
    return list(range(count))


def lane_of(records: Sequence[IncomingRecord]) -> int:
    return int(records[0].partition)


async def test_lanes_run_concurrently_and_keep_the_order_per_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = asyncio.Barrier(2)

    async def before(_records: Sequence[IncomingRecord]) -> None:
        await meeting.wait()  # a lane alone would wait for ever

    consuming = Consuming(before)
    async with consuming.running(monkeypatch):
        await consuming.subscription.deliver(batch(*range(PARTITIONS)))
        await consuming.subscription.deliver(batch(*range(PARTITIONS), first=5))
    assert consuming.handler.handled == dict.fromkeys(range(PARTITIONS), numbers(10))
    assert [len(partitions) for partitions in consuming.handler.calls] == [2, 2, 2, 2]
    assert set(consuming.subscription.committed.values()) == {10}


async def test_nothing_is_committed_before_all_lanes_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = asyncio.Event()

    async def before(records: Sequence[IncomingRecord]) -> None:
        if lane_of(records) == 1:
            await leave.wait()

    consuming = Consuming(before)
    async with consuming.running(monkeypatch) as consumer:
        delivered = asyncio.create_task(consuming.subscription.deliver(batch(0, 1)))
        while not consuming.handler.handled[0]:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert consumer.reached() == {0: 5, 1: 0}
        assert list(consumer.in_progress) == [1]
        assert not consuming.subscription.committed
        leave.set()
        await delivered
        assert consumer.reached() == {0: 5, 1: 5}
    assert consuming.subscription.committed == {TopicPartition(TOPIC, 0): 5, TopicPartition(TOPIC, 1): 5}


async def test_only_the_lane_that_waits_for_a_dependency_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = 2

    async def before(records: Sequence[IncomingRecord]) -> None:
        nonlocal failures
        if lane_of(records) == 0 and failures:
            failures -= 1
            raise TransientFailure("away")

    consuming = Consuming(before)
    async with consuming.running(monkeypatch) as consumer:
        await consuming.subscription.deliver(batch(0, 1))
        assert consumer.problem is None
    assert consuming.handler.calls == [[0], [1], [0], [0]]
    assert consuming.handler.handled == {0: numbers(5), 1: numbers(5)}
    assert set(consuming.subscription.committed.values()) == {5}


async def test_all_lanes_come_again_after_ownership_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    is_lost = True

    async def before(records: Sequence[IncomingRecord]) -> None:
        nonlocal is_lost
        if lane_of(records) == 0 and is_lost:
            is_lost = False
            raise OwnershipLost("another owner")

    consuming = Consuming(before)
    async with consuming.running(monkeypatch):
        await consuming.subscription.deliver(batch(0, 1))
    assert consuming.handler.preparations == 2
    assert consuming.handler.calls == [[0], [1], [0], [1]]
    assert consuming.handler.handled == {0: numbers(5), 1: numbers(5) * 2}


async def test_a_record_that_breaks_its_lane_harms_no_other_record(monkeypatch: pytest.MonkeyPatch) -> None:
    async def before(records: Sequence[IncomingRecord]) -> None:
        if any((record.partition, record.offset) == (0, 2) for record in records):
            raise ValueError("a fault of ours")

    consuming = Consuming(before)
    async with consuming.running(monkeypatch) as consumer:
        await consuming.subscription.deliver(batch(0, 1))
        assert consumer.reached() == {0: 5, 1: 5}
    assert consuming.handler.handled == {0: [0, 1, 3, 4], 1: numbers(5)}
    assert [(record.partition, record.offset) for record in consuming.letters.records] == [(0, 2)]
    assert consuming.handler.calls.count([1]) == 1  # the other lane was finished, and is not repeated
    assert set(consuming.subscription.committed.values()) == {5}


async def test_records_that_break_both_lanes_are_found_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def before(records: Sequence[IncomingRecord]) -> None:
        if any(record.offset == 2 for record in records):
            raise ValueError("a fault of ours")

    consuming = Consuming(before)
    async with consuming.running(monkeypatch):
        await consuming.subscription.deliver(batch(0, 1))
    assert consuming.handler.handled == {0: [0, 1, 3, 4], 1: [0, 1, 3, 4]}
    assert len(consuming.letters.records) == 2


async def test_a_batch_that_outlasts_its_assignment_sets_back_no_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = asyncio.Event()

    async def before(_records: Sequence[IncomingRecord]) -> None:
        await leave.wait()

    consuming = Consuming(before)
    async with consuming.running(monkeypatch, GroupTimes(timedelta(seconds=1), timedelta(milliseconds=20))) as consumer:
        delivered = asyncio.create_task(consuming.subscription.deliver(batch(0)))
        while not consuming.handler.calls:
            await asyncio.sleep(0)
        await consumer.on_partitions_revoked(ALL)
        await consumer.on_partitions_assigned(ALL)  # another process may have had them in between, and come further
        leave.set()
        await delivered
        await consuming.subscription.deliver(batch(1))
    assert consuming.subscription.committed == {TopicPartition(TOPIC, 1): 5}
