"""What is collected is flushed together, in order, one flush at a time, and stays until a flush has succeeded."""

import asyncio

import pytest

from triptych.kit.failures import TransientFailure
from triptych.kit.process import coalescer, supervision
from triptych.kit.process.coalescer import Coalescer
from triptych.kit.process.waits import WAITS


class Store:
    """Takes items when the test allows it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.failures: list[Exception] = []
        self.begun: list[list[int]] = []
        self.stored: list[int] = []

    async def flush(self, items: list[int]) -> None:
        self.begun.append(items)
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.stored += items

    async def has_begun(self, count: int) -> None:
        """Wait until this many flushes have begun."""
        async with asyncio.timeout(10):
            while len(self.begun) < count:
                await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescer, "FIRST_PAUSE_SECONDS", 0.001)


async def test_what_comes_during_a_flush_shares_the_next() -> None:
    store = Store()
    items: Coalescer[int] = Coalescer("the test", store.flush)
    items.add([1])
    await store.has_begun(1)
    items.add([2])
    items.add([3, 4])
    await asyncio.sleep(0)
    assert store.begun == [[1]]
    store.open.set()
    await store.has_begun(2)
    assert store.begun == [[1], [2, 3, 4]]


async def test_with_a_delay_items_are_collected_before_the_first_flush() -> None:
    store = Store()
    store.open.set()
    items: Coalescer[int] = Coalescer("the test", store.flush, 0.02)
    for item in range(5):
        items.add([item])
        await asyncio.sleep(0)
    assert store.begun == []
    await store.has_begun(1)
    assert store.begun == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("failure", [TransientFailure("away"), ValueError("a fault of ours")])
async def test_after_a_failure_the_same_items_come_first_again(failure: Exception) -> None:
    store = Store()
    store.failures = [failure, failure]
    items: Coalescer[int] = Coalescer("the test", store.flush)
    items.add([1, 2])
    await store.has_begun(1)
    items.add([3])
    store.open.set()
    await store.has_begun(3)
    assert store.begun == [[1, 2], [1, 2, 3], [1, 2, 3]]
    assert await items.finish(10)
    assert store.stored == [1, 2, 3]


async def test_flushing_now_waits_for_the_flush_that_runs_and_raises_its_own_failure() -> None:
    store = Store()
    items: Coalescer[int] = Coalescer("the test", store.flush)
    items.add([1])
    await store.has_begun(1)
    items.add([2])
    flushing = asyncio.create_task(items.flush())
    await asyncio.sleep(0)
    assert store.begun == [[1]]
    store.open.set()
    await flushing
    assert store.stored == [1, 2]
    store.failures = [TransientFailure("away")]
    items.add([3])
    with pytest.raises(TransientFailure):
        await items.flush()
    await items.flush()
    assert store.stored == [1, 2, 3]


async def test_the_end_ends_within_its_deadline_and_keeps_what_is_left() -> None:
    store = Store()
    items: Coalescer[int] = Coalescer("a store that hangs", store.flush, 3_600.0)
    items.add([1])
    assert not await items.finish(0.01)
    assert WAITS.problems() == {}
    store.open.set()
    assert await items.finish(10)
    assert store.stored == [1]


async def test_a_flush_that_is_stopped_gives_its_items_back() -> None:
    store = Store()
    items: Coalescer[int] = Coalescer("the test", store.flush)
    items.add([1])
    await store.has_begun(1)
    await items.stop()
    store.open.set()
    await items.flush()
    assert store.stored == [1]


async def test_items_that_are_discarded_are_not_flushed() -> None:
    store = Store()
    store.open.set()
    items: Coalescer[int] = Coalescer("the test", store.flush, 0.01)
    items.add([1])
    items.discard()
    await asyncio.sleep(0.03)
    items.add([2])
    assert await items.finish(10)
    assert store.begun == [[2]]


@pytest.mark.parametrize("dies_by", ["hanging", "being cancelled"])
async def test_flushing_that_dies_starts_again_with_the_same_items(
    monkeypatch: pytest.MonkeyPatch, dies_by: str
) -> None:
    monkeypatch.setattr(supervision, "STALLED_SECONDS", 0.1 if dies_by == "hanging" else 60.0)
    monkeypatch.setattr(supervision, "FIRST_PAUSE_SECONDS", 0.05)
    store = Store()
    items: Coalescer[int] = Coalescer("the test", store.flush)
    items.add([1])
    await store.has_begun(1)
    items.add([2])
    if dies_by == "being cancelled":
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "flushing (the test)"]
        task.cancel()
    await store.has_begun(2)
    assert store.begun[:2] == [[1], [1, 2]]
    store.open.set()
    assert await items.finish(10)
    assert store.stored == [1, 2]
