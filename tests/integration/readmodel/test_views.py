"""The queries of the read model on a real MongoDB."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.histories import EPOCH, History
from tests.support.installation import open_own_database
from tests.support.profiling import profiled, unindexed
from triptych.devstack.stack import Addresses
from triptych.kit.failures import TransientFailure
from triptych.kit.mongo.driver import Database, Document, DriverName, aggregate
from triptych.kit.startup.provision import ensure_indexes
from triptych.readmodel import queries
from triptych.readmodel.cursors import InvalidCursor, write_cursor
from triptych.readmodel.documents import (
    GALLERY_VIEWS,
    ITEM_VIEWS,
    gallery_document,
    hidden_gallery_document,
    item_document,
)
from triptych.readmodel.queries import INDEXES, ItemFilter, ViewItemsPage, Views, indexes
from triptych.readmodel.versions import FIRST_VERSION, Versions, ViewNames, names_of
from triptych.readmodel.weighing import Room

HOUR = timedelta(hours=1)
FIRST = names_of(FIRST_VERSION)


@pytest.fixture
async def database(stack: Addresses, driver: DriverName) -> AsyncIterator[Database]:
    """A database with the indexes of the views; no topics."""
    async with open_own_database(stack, driver) as database:
        await ensure_indexes(database, INDEXES)
        yield database


@pytest.fixture
def driver() -> DriverName:
    """The usual one."""
    return "pymongo"


async def _store(database: Database, *histories: History, names: ViewNames = FIRST) -> None:
    for history in histories:
        head = gallery_document(
            history.site_id, history.head(), total_items=len(history.items), sequence=len(history.wire)
        )
        await database[names.galleries].insert_one(head)
        items = [item_document(history.site_id, history.gallery_id, item, 1) for item in history.items.values()]
        if items:
            await database[names.items].insert_many(items)


def _filled(site_id: str = "s", age: timedelta = HOUR, gallery_id: str | None = None, items: int = 5) -> History:
    history = History(gallery_id, site_id=site_id, created_at=EPOCH - age).create()
    for order in range(items):
        history.add_item(order + 0.5)
    return history


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
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

    assert await views.list_items("s", history.gallery_id, 3, 0) == ViewItemsPage(history.shown_items()[:3], None)
    assert await views.list_items("s", history.gallery_id, 3, 4) == ViewItemsPage(history.shown_items()[4:], None)
    (item_id, item), *_ = history.items.items()
    assert await views.get_item("s", history.gallery_id, item_id) == item
    assert await views.get_item("s", other.gallery_id, item_id) is None


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
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
        for wanted in (ItemFilter(), ItemFilter(type="TEXT"), ItemFilter(tag="t"), ItemFilter("TEXT", "t")):
            await views.list_items("s", gallery_id, 2, 1, wanted)
            page = await views.list_items_after("s", gallery_id, 2, None, wanted)
            assert page is not None
            await views.list_items_after("s", gallery_id, 2, page.next_cursor, wanted)
    collections = {operation["ns"].partition(".")[2] for operation in operations}
    assert collections == {GALLERY_VIEWS, ITEM_VIEWS, "view_versions"}
    assert unindexed([operation for operation in operations if not operation["ns"].endswith("view_versions")]) == []


async def test_a_cursor_leads_through_all_items_and_is_not_moved_by_others(database: Database) -> None:
    history = _filled(items=7)
    await _store(database, history)
    views, items, gallery_id = Views(database), history.shown_items(), history.gallery_id

    page = await views.list_items_after("s", gallery_id, 3)
    assert page is not None
    assert page.items == items[:3]
    new = {**items[0], "id": "new", "sortOrder": 99.5}
    await database[ITEM_VIEWS].insert_one(item_document("s", gallery_id, new, 9))
    await database[ITEM_VIEWS].delete_one({"item.id": items[2]["id"]})
    page = await views.list_items_after("s", gallery_id, 3, page.next_cursor)
    assert page is not None
    assert page.items == items[3:6]
    page = await views.list_items_after("s", gallery_id, 3, page.next_cursor)
    assert page is not None
    assert (page.items, page.next_cursor) == (items[6:], None)

    assert await views.list_items_after("s", "unknown", 3) is None
    with pytest.raises(InvalidCursor):
        await views.list_items_after("s", gallery_id, 3, "nonsense")


async def test_a_read_returns_a_bounded_number_of_bytes_and_at_least_one_item(database: Database) -> None:
    large, small = _filled(items=7), _filled(age=HOUR * 2)
    for item in large.items.values():
        item["text"]["html"] = "x" * 1_000
    await _store(database, large, small)
    views, items, gallery_id = Views(database), large.shown_items(), large.gallery_id

    # Each item is a little above 1,200 bytes; three are 3,900.
    page = await views.get_gallery("s", gallery_id, 7, 1, room=Room(100, 3_900))
    assert page is not None
    assert (page.items, page.next_cursor) == (items[1:4], write_cursor(items[3]["sortOrder"]))
    listed = await views.list_items("s", gallery_id, 7, 1, room=Room(100, 3_900))
    assert listed == ViewItemsPage(items[1:4], write_cursor(items[3]["sortOrder"]))
    assert await views.list_items("s", gallery_id, 3, 1, room=Room(100, 3_900)) == ViewItemsPage(items[1:4], None)
    found: list[Any] = []
    cursor = None
    while not found or cursor is not None:
        following = await views.list_items_after("s", gallery_id, 5, cursor, room=Room(1, 1))
        assert following is not None
        found, cursor = [*found, *following.items], following.next_cursor
        assert len(following.items) == 1
    assert found == items
    # The galleries share the room.
    total, pages = await views.list_galleries("s", 10, 0, 7, room=Room(7 * 2 * 400, 7_800))
    assert (total, [len(page.items) for page in pages]) == (2, [3, 5])
    assert [page.next_cursor is None for page in pages] == [False, True]


async def test_items_by_type_and_tag(database: Database) -> None:
    history = _filled(items=6)
    for number, item in enumerate(history.items.values()):
        item["type"] = "IMAGE" if number % 2 else "TEXT"
        item["tags"] = {"values": ["all", f"third{number % 3}"]}
    await _store(database, history)
    views, items = Views(database), history.shown_items()

    async def found(wanted: ItemFilter, limit: int = 10, offset: int = 0) -> list[int]:
        listed = await views.list_items("s", history.gallery_id, limit, offset, wanted)
        assert listed is not None
        assert listed.next_cursor is None
        page = await views.list_items_after("s", history.gallery_id, limit, None, wanted)
        assert page is not None
        assert offset or page.items == listed.items
        return [items.index(item) for item in listed.items]

    assert await found(ItemFilter(type="IMAGE")) == [0, 2, 4]
    assert await found(ItemFilter(type="IMAGE"), 1, 1) == [2]
    assert await found(ItemFilter(tag="third0")) == [2, 5]
    assert await found(ItemFilter(type="TEXT", tag="third0")) == [5]
    assert await found(ItemFilter(tag="all"), 2) == [0, 1]
    assert await found(ItemFilter(tag="none")) == []


async def test_a_page_far_down_costs_the_same_as_the_first_one(database: Database) -> None:
    count, size = 20_000, 100
    gallery = _filled(items=0)
    await _store(database, gallery)
    await database[GALLERY_VIEWS].update_one({"_id": gallery.gallery_id}, {"$set": {"totalItems": count}})
    for start in range(0, count, 10_000):
        await database[ITEM_VIEWS].insert_many(
            [
                item_document("s", gallery.gallery_id, {"id": f"i{order}", "sortOrder": order, "type": "TEXT"}, 2)
                for order in range(start, start + 10_000)
            ]
        )
    views = Views(database)
    async with profiled(database) as operations:
        first = await views.list_items_after("s", gallery.gallery_id, size)
        last = await views.list_items_after("s", gallery.gallery_id, size, write_cursor(size))
    assert first is not None
    assert last is not None
    assert (first.items[0]["id"], last.items[0]["id"]) == ("i19999", "i99")
    pages = [operation for operation in operations if operation["ns"].endswith(ITEM_VIEWS)]
    assert [page["nreturned"] for page in pages] == [101, 100]
    assert [page["keysExamined"] for page in pages] == [101, 100]
    assert [page["docsExamined"] for page in pages] == [101, 100]


async def test_a_gallery_that_waits_for_its_first_items_is_not_shown(database: Database) -> None:
    history = _filled(items=2)
    await _store(database, history)
    head = gallery_document("s", history.head(), total_items=2, sequence=3, complete_at=4)
    await database[GALLERY_VIEWS].replace_one({"_id": history.gallery_id}, head)
    views = Views(database)
    assert await views.get_gallery("s", history.gallery_id, 10) is None
    assert await views.list_galleries("s", 10, 0, 10) == (0, [])
    assert await views.list_items("s", history.gallery_id, 10, 0) is None
    assert await views.get_item("s", history.gallery_id, next(iter(history.items))) is None
    assert await views.sequence_of("s", history.gallery_id) == 3


async def test_readers_switch_to_a_new_version_at_once(database: Database) -> None:
    old, new = _filled(items=2), _filled(items=3)
    await _store(database, old)
    views, versions = Views(database), Versions(database)
    assert await views.sequence_of("s", old.gallery_id) == 3

    building = await versions.begin_building()
    assert (building, await versions.begin_building(), await versions.active()) == (2, 2, 1)
    await ensure_indexes(database, indexes(building))
    await _store(database, new, names=names_of(building))
    assert await views.get_gallery("s", new.gallery_id, 10) is None
    assert await views.get_gallery("s", old.gallery_id, 10) is not None

    await versions.check_writable(1)
    await versions.begin_switch(building)
    with pytest.raises(TransientFailure, match="being switched"):
        await versions.check_writable(1)
    await versions.end_switch(building)
    for reader in (views, Views(database)):
        page = await reader.get_gallery("s", new.gallery_id, 10)
        assert page is not None
        assert page.items == new.shown_items()
        assert await reader.get_gallery("s", old.gallery_id, 10) is None
    assert (await views.list_galleries("s", 10, 0, 1))[0] == 1
    await versions.check_writable(2)
    with pytest.raises(TransientFailure, match="not in use"):
        await versions.check_writable(1)
    assert not {GALLERY_VIEWS, ITEM_VIEWS} & set(await database.list_collection_names())


async def test_a_reader_that_is_between_head_and_items_when_versions_change_reads_again(database: Database) -> None:
    history = _filled(items=3)
    await _store(database, history)
    views, versions = Views(database), Versions(database)
    assert await views.get_gallery("s", history.gallery_id, 10) is not None
    building = await versions.begin_building()
    await ensure_indexes(database, indexes(building))
    await _store(database, history, names=names_of(building))
    await versions.begin_switch(building)
    await versions.end_switch(building)
    # The head of the old version, as a slow reader still finds it.
    head = gallery_document("s", history.head(), total_items=3, sequence=4)
    await database[GALLERY_VIEWS].insert_one(head)
    page = await views.get_gallery("s", history.gallery_id, 10)
    assert page is not None
    assert page.items == history.shown_items()


async def test_a_reader_whose_version_is_dropped_under_it_reads_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = _filled(items=3)
    await _store(database, history)
    views, versions = Views(database), Versions(database)
    building = await versions.begin_building()
    await ensure_indexes(database, indexes(building))
    await _store(database, history, names=names_of(building))
    await versions.begin_switch(building)

    async def overtaken(*_: object) -> list[Document]:
        monkeypatch.setattr(queries, "aggregate", aggregate)
        reading = database[ITEM_VIEWS].find({}, batch_size=1)
        assert await reading.next()
        await versions.end_switch(building)
        remaining: list[Document] = await reading.to_list(None)
        return remaining

    monkeypatch.setattr(queries, "aggregate", overtaken)
    page = await views.get_gallery("s", history.gallery_id, 10)
    assert page is not None
    assert page.items == history.shown_items()


async def test_a_switch_that_comes_too_late_does_not_happen(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = Versions(database)
    building = await versions.begin_building()
    monkeypatch.setattr("triptych.readmodel.versions.SWITCH_TIME", timedelta(seconds=1))
    await versions.begin_switch(building)
    with pytest.raises(TransientFailure, match="too long"):
        await versions.end_switch(building)
    assert await versions.active() == 1
    await versions.cancel_switch()
    await versions.check_writable(1)


async def test_a_query_without_index_would_be_noticed(database: Database) -> None:
    await _store(database, _filled())
    async with profiled(database) as operations:
        await database[ITEM_VIEWS].find({"type": "TEXT"}).to_list(None)
        await database[ITEM_VIEWS].find({"galleryId": "x"}).sort("sequence").to_list(None)
    assert len(unindexed(operations)) == 2
