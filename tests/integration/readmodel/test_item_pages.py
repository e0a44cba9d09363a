"""Pages of a gallery's items: by cursor, by type and tag, bounded in bytes and in cost."""

from typing import Any

import pytest

from tests.support.profiling import profiled
from tests.support.stored_views import HOUR, filled, store_views
from triptych.kit.mongo.driver import Database
from triptych.readmodel.cursors import InvalidCursor, write_cursor
from triptych.readmodel.documents import GALLERY_VIEWS, ITEM_VIEWS, item_document
from triptych.readmodel.queries import ItemFilter, ViewItemsPage, Views
from triptych.readmodel.weighing import Room


async def test_a_cursor_leads_through_all_items_and_is_not_moved_by_others(database: Database) -> None:
    history = filled(items=7)
    await store_views(database, history)
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
    large, small = filled(items=7), filled(age=HOUR * 2)
    for item in large.items.values():
        item["text"]["html"] = "x" * 1_000
    await store_views(database, large, small)
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
    total, pages, _ = await views.list_galleries("s", 10, 0, 7, room=Room(7 * 2 * 400, 7_800))
    assert (total, [len(page.items) for page in pages]) == (2, [3, 5])
    assert [page.next_cursor is None for page in pages] == [False, True]


async def test_items_by_type_and_tag(database: Database) -> None:
    history = filled(items=6)
    for number, item in enumerate(history.items.values()):
        item["type"] = "IMAGE" if number % 2 else "TEXT"
        item["tags"] = {"values": ["all", f"third{number % 3}"]}
    await store_views(database, history)
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
    gallery = filled(items=0)
    await store_views(database, gallery)
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
