"""`Writer`: partitions are written one block at a time, and what a failed block has left is published first."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from triptych.command.domain.unit_of_work import UnitOfWork
from triptych.command.flow.writer import ExclusiveWriter, Writer
from triptych.command.store.outbox import OutboxRow
from triptych.kit.failures import TransientFailure

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Stores:
    """The repository, the outbox and the publisher of replies, which note their calls."""

    topic = "events"

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.is_away = False

    def _note(self, call: Any) -> None:
        self.calls.append(call)
        if self.is_away:
            raise TransientFailure("away")

    async def save(self, _unit: UnitOfWork, partitions: set[int], _at: datetime, _update: Any) -> list[OutboxRow]:
        self._note(("save", *sorted(partitions)))
        return [OutboxRow("", partition, 1, 1, ()) for partition in partitions]

    async def flush(self, partitions: Iterable[int]) -> int:
        self._note(("flush", *sorted(partitions)))
        return 0

    def records(self, rows: Sequence[OutboxRow]) -> list[int]:
        return [row.partition for row in rows]

    async def publish(self, records: Sequence[int], _replies: Sequence[Any]) -> None:
        self._note(("publish", *sorted(records)))

    def acknowledge_soon(self, rows: Iterable[OutboxRow]) -> None:
        """Nothing to note."""

    def keep(self, unit: UnitOfWork) -> None:
        """Nothing to note."""

    def clear(self) -> None:
        """Nothing to note."""


def make_writer() -> tuple[Writer, Stores]:
    stores = Stores()
    servers: list[Any] = [stores] * 4
    return Writer(*servers), stores


async def write(writer: ExclusiveWriter, *partitions: int) -> None:
    await writer.publish(await writer.commit(UnitOfWork(), set(partitions), NOW), ())


async def test_what_a_failed_block_may_have_committed_is_published_before_the_next_commit_on_its_partitions() -> None:
    writer, stores = make_writer()
    with pytest.raises(TransientFailure):
        async with writer.exclusive({1, 2}) as exclusive:
            stores.is_away = True
            await write(exclusive, 1)
    with pytest.raises(TransientFailure):
        async with writer.exclusive({2, 3}):
            pytest.fail("nothing may be committed before the events of the failed block are published")
    stores.is_away = False
    for partitions in ({3}, {2, 3}, {1}, {1, 2}):
        async with writer.exclusive(partitions) as exclusive:
            await write(exclusive, *partitions)
    assert stores.calls == [
        ("save", 1),
        ("flush", 2),
        ("save", 3),
        ("publish", 3),
        ("flush", 2),
        ("save", 2, 3),
        ("publish", 2, 3),
        ("flush", 1),
        ("save", 1),
        ("publish", 1),
        ("save", 1, 2),
        ("publish", 1, 2),
    ]


async def test_a_block_that_fails_without_a_commit_leaves_nothing_to_publish() -> None:
    writer, stores = make_writer()
    with pytest.raises(ValueError, match="a fault"):
        async with writer.exclusive({1}):
            raise ValueError("a fault")
    async with writer.exclusive({1}) as exclusive:
        await write(exclusive, 1)
    assert stores.calls == [("save", 1), ("publish", 1)]


async def test_only_the_partitions_of_an_open_block_can_be_written() -> None:
    writer, stores = make_writer()
    async with writer.exclusive({1}) as exclusive:
        with pytest.raises(RuntimeError, match=r"\[2\] are not locked"):
            await write(exclusive, 1, 2)
    with pytest.raises(RuntimeError, match=r"\[1\] are not locked"):
        await write(exclusive, 1)
    assert stores.calls == []


async def test_blocks_on_one_partition_take_turns_and_others_run_concurrently() -> None:
    writer, stores = make_writer()
    entered, leave = asyncio.Event(), asyncio.Event()

    async def batch() -> None:
        async with writer.exclusive({1, 2}) as exclusive:
            entered.set()
            await leave.wait()
            await write(exclusive, 1, 2)

    async def step(partition: int) -> None:
        async with writer.exclusive({partition}) as exclusive:
            await write(exclusive, partition)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(batch())
        await entered.wait()
        waiting = group.create_task(step(2))
        await group.create_task(step(3))
        assert not waiting.done()
        leave.set()
    assert [call for call in stores.calls if call[0] == "save"] == [("save", 3), ("save", 1, 2), ("save", 2)]


async def test_nothing_is_committed_before_the_events_of_former_owners_are_published() -> None:
    writer, stores = make_writer()
    stores.is_away = True
    with pytest.raises(TransientFailure):
        await writer.publish_leftovers(frozenset({1, 2}))
    stores.is_away = False
    async with writer.exclusive({2}) as exclusive:
        await write(exclusive, 2)
    assert stores.calls == [("flush", 1, 2), ("flush", 2), ("save", 2), ("publish", 2)]
