"""The queries of the read model on a real MongoDB, over both drivers."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.kit.mongo import Database, open_database
from services.kit.provision import ensure_indexes
from services.readmodel.documents import (
    GALLERY_VIEWS,
    ITEM_VIEWS,
    gallery_document,
    hidden_gallery_document,
    item_document,
)
from services.readmodel.queries import INDEXES, Views
from tests.support.histories import EPOCH, History
from tests.support.installation import Installation
from tests.support.profiling import profiled, unindexed

HOUR = timedelta(hours=1)


@pytest.fixture(params=["pymongo", "motor"])
async def database(installation: Installation, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """The installation's database over each driver, with its indexes."""
    async with open_database(installation.addresses.mongo_uri, installation.name, request.param) as database:
        await ensure_indexes(database, INDEXES)
        yield database


async def _store(database: Database, *histories: History) -> None:
    for history in histories:
        head = gallery_document(
            history.site_id, history.head(), total_items=len(history.items), sequence=len(history.wire)
        )
        await database[GALLERY_VIEWS].insert_one(head)
        items = [item_document(history.site_id, history.gallery_id, item, 1) for item in history.items.values()]
        if items:
            await database[ITEM_VIEWS].insert_many(items)


def _filled(site_id: str = "s", age: timedelta = HOUR, gallery_id: str | None = None, items: int = 5) -> History:
    history = History(gallery_id, site_id=site_id, created_at=EPOCH - age).create()
    for order in range(items):
        history.add_item(order + 0.5)
    return history


async def test_a_gallery_and_a_page_of_its_items(database: Database) -> None:
    history, other = _filled(), _filled()
    await _store(database, history, other)
    views = Views(database)

    page = await views.get_gallery("s", history.gallery_id, 2, 1)
    assert page is not None
    assert page.to_wire() == {**history.head(), "items": history.shown_items()[1:3]}
    assert (page.sequence, page.gap) == (6, None)
    past_the_end = await views.get_gallery("s", history.gallery_id, 2, 10**30)
    assert past_the_end is not None
    assert past_the_end.items == []

    assert await views.list_items("s", history.gallery_id, 3, 0) == history.shown_items()[:3]
    assert await views.list_items("s", history.gallery_id, 3, 4) == history.shown_items()[4:]
    (item_id, item), *_ = history.items.items()
    assert await views.get_item("s", history.gallery_id, item_id) == item
    assert await views.get_item("s", other.gallery_id, item_id) is None


async def test_galleries_newest_first_then_by_id(database: Database) -> None:
    ids = [f"0000000{number}-0000-4000-8000-000000000000" for number in range(4)]
    oldest, twin_b, twin_a, newest = (
        _filled(age=age, gallery_id=gallery_id, items=items)
        for age, gallery_id, items in (
            (2 * HOUR, ids[0], 3),
            (HOUR, ids[3], 0),
            (HOUR, ids[2], 1),
            (0 * HOUR, ids[1], 4),
        )
    )
    await _store(database, oldest, twin_b, twin_a, newest, _filled(site_id="another"))
    views = Views(database)

    total, pages = await views.list_galleries("s", 10, 0, 2)
    assert total == 4
    assert [page.to_wire() for page in pages] == [
        {**history.head(), "items": history.shown_items()[:2]} for history in (newest, twin_a, twin_b, oldest)
    ]
    total, pages = await views.list_galleries("s", 2, 3, 1)
    assert (total, [page.gallery["id"] for page in pages]) == (4, [oldest.gallery_id])
    assert await views.list_galleries("s", 2, 10**30, 1) == (4, [])


async def test_no_site_sees_another(database: Database) -> None:
    history = _filled(site_id="theirs")
    await _store(database, history)
    views = Views(database)
    assert await views.list_galleries("ours", 10, 0, 10) == (0, [])
    assert await views.get_gallery("ours", history.gallery_id, 10) is None
    assert await views.list_items("ours", history.gallery_id, 10, 0) is None
    assert await views.get_item("ours", history.gallery_id, next(iter(history.items))) is None
    assert await views.sequence_of("ours", history.gallery_id) is None


async def test_deleted_galleries_and_those_without_beginning_are_not_shown(database: Database) -> None:
    deleted = hidden_gallery_document("s", "deleted", sequence=9, deleted=True)
    unopened = hidden_gallery_document("s", "unopened", sequence=0, gap={"expected": 1, "received": 3})
    await database[GALLERY_VIEWS].insert_many([deleted, unopened])
    views = Views(database)
    assert await views.list_galleries("s", 10, 0, 10) == (0, [])
    for gallery_id in ("deleted", "unopened"):
        assert await views.get_gallery("s", gallery_id, 10) is None
        assert await views.list_items("s", gallery_id, 10, 0) is None
    assert await views.sequence_of("s", "deleted") == 9
    assert await views.sequence_of("s", "unknown") is None


async def test_every_query_is_served_by_an_index(database: Database) -> None:
    histories = [_filled(), _filled(), _filled(site_id="another")]
    await _store(database, *histories)
    views, gallery_id = Views(database), histories[0].gallery_id
    async with profiled(database) as operations:
        await views.get_gallery("s", gallery_id, 2, 1)
        await views.list_galleries("s", 2, 1, 3)
        await views.list_items("s", gallery_id, 2, 1)
        await views.get_item("s", gallery_id, next(iter(histories[0].items)))
        await views.sequence_of("s", gallery_id)
    assert len(operations) == 9
    assert unindexed(operations) == []


async def test_a_query_without_index_would_be_noticed(database: Database) -> None:
    await _store(database, _filled())
    async with profiled(database) as operations:
        await database[ITEM_VIEWS].find({"type": "TEXT"}).to_list(None)
        await database[ITEM_VIEWS].find({"galleryId": "x"}).sort("sequence").to_list(None)
    assert len(unindexed(operations)) == 2
