"""Concurrent reads of items share queries, on a real MongoDB."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.histories import History
from tests.support.profiling import profiled
from tests.support.stored_views import filled, store_views
from triptych.kit.mongo.driver import Database
from triptych.readmodel import item_reads as item_reads_module
from triptych.readmodel.documents import ITEM_VIEWS
from triptych.readmodel.item_reads import ItemReads
from triptych.readmodel.queries import ItemName, Views

ITEMS = 12


@pytest.fixture
async def history(database: Database) -> History:
    """A gallery whose view is stored."""
    made = filled(items=ITEMS)
    await store_views(database, made)
    return made


@pytest.fixture
async def item_reads(database: Database) -> AsyncIterator[ItemReads]:
    """Reads of the views."""
    reads = ItemReads(Views(database))
    yield reads
    await reads.stop()


def names_of(history: History) -> list[ItemName]:
    return [ItemName("s", history.gallery_id, item_id) for item_id in history.items]


@pytest.mark.parametrize(("at_once", "most"), [(100, 2), (5, 4)])
async def test_concurrent_reads_share_queries(
    database: Database,
    history: History,
    item_reads: ItemReads,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    most: int,
) -> None:
    monkeypatch.setattr(item_reads_module, "ITEMS_AT_ONCE", at_once)
    names = [*names_of(history), ItemName("s", history.gallery_id, "none")]
    await item_reads.get(names[0])
    async with profiled(database) as operations:
        found = await asyncio.gather(*map(item_reads.get, names))
    assert found == [*history.items.values(), None]
    assert 1 <= len([one for one in operations if one["ns"].endswith(ITEM_VIEWS)]) <= most


async def test_a_failure_is_raised_in_each_read_and_the_next_one_succeeds(
    history: History, item_reads: ItemReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = names_of(history)

    async def fail(*_args: object) -> None:
        raise ConnectionError("away")

    with monkeypatch.context() as broken:
        broken.setattr(Views, "get_items", fail)
        found = await asyncio.gather(*map(item_reads.get, names), return_exceptions=True)
    assert [type(one) for one in found] == [ConnectionError] * ITEMS
    assert await item_reads.get(names[0]) == history.items[names[0].item_id]


async def test_a_read_that_is_given_up_does_not_disturb_others(history: History, item_reads: ItemReads) -> None:
    first, second, *_ = names_of(history)
    given_up = asyncio.create_task(item_reads.get(first))
    other = asyncio.create_task(item_reads.get(second))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await other == history.items[second.item_id]
    assert given_up.cancelled()
