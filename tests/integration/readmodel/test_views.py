"""Galleries as the read model shows them, and the indexes of its queries, on a real MongoDB."""

import pytest

from tests.support.profiling import profiled, unindexed
from tests.support.stored_views import HOUR, filled, store_views
from triptych.kit.mongo.driver import Database
from triptych.readmodel.documents import GALLERY_VIEWS, ITEM_VIEWS, gallery_document, hidden_gallery_document
from triptych.readmodel.gallery_lists import read_gallery_cursor
from triptych.readmodel.queries import ItemFilter, ItemName, ViewItemsPage, Views


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_a_gallery_and_a_page_of_its_items(database: Database) -> None:
    history, other = filled(), filled()
    await store_views(database, history, other)
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

    (other_id, other_item), *_ = other.items.items()
    found = {ItemName("s", history.gallery_id, item_id): item, ItemName("s", other.gallery_id, other_id): other_item}
    elsewhere = [("theirs", history.gallery_id, item_id), ("s", other.gallery_id, item_id), ("s", "none", other_id)]
    assert await views.get_items({*found, *(ItemName(*name) for name in elsewhere)}) == found


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_galleries_newest_first_then_by_id(database: Database) -> None:
    ids = [f"0000000{number}-0000-4000-8000-000000000000" for number in range(4)]
    oldest, twin_b, twin_a, newest = (
        filled(age=age, gallery_id=gallery_id, items=items)
        for age, gallery_id, items in (
            (2 * HOUR, ids[0], 3),
            (HOUR, ids[3], 0),
            (HOUR, ids[2], 1),
            (0 * HOUR, ids[1], 4),
        )
    )
    await store_views(database, oldest, twin_b, twin_a, newest, filled(site_id="another"))
    views = Views(database)

    total, pages, _ = await views.list_galleries("s", 10, 0, 2)
    assert total == 4
    assert [page.to_wire() for page in pages] == [
        {**history.head(), "items": history.shown_items()[:2]} for history in (newest, twin_a, twin_b, oldest)
    ]
    total, pages, _ = await views.list_galleries("s", 2, 3, 1)
    assert (total, [page.gallery["id"] for page in pages]) == (4, [oldest.gallery_id])
    assert await views.list_galleries("s", 2, 10**30, 1) == (4, [], None)


async def test_pages_by_cursor_go_on_whatever_happens_before_them(database: Database) -> None:
    at_once = [filled(age=HOUR, items=0) for _ in range(3)]
    older, newer = filled(age=2 * HOUR, items=1), filled(age=0 * HOUR, items=0)
    await store_views(database, *at_once, older)
    views = Views(database)
    first = await views.list_galleries("s", 2, 0, 1)
    await store_views(database, newer, filled(site_id="another"))
    assert first.next_cursor is not None
    second = await views.list_galleries("s", 2, 0, 1, after=read_gallery_cursor(first.next_cursor, is_search=False))
    expected = [*sorted(history.gallery_id for history in at_once), older.gallery_id]
    assert [page.gallery["id"] for page in (*first.galleries, *second.galleries)] == expected
    assert (first.total, second.total, second.next_cursor) == (4, 5, None)


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_galleries_are_found_by_the_beginning_of_their_name(database: Database) -> None:
    names = [
        "Seaside",
        "sea",
        "SÉANCE",
        "Sea 10",
        "se",
        "The sea",
        "sebum",
        "Sea\u6d77",
        "Sea\U0010fffd",
        "$sea",
        "S.a",
    ]
    named = [filled(items=1) for _ in names]
    for history, name in zip(named, names, strict=True):
        history.rename(name)
    theirs = filled(site_id="another").rename("sea")
    await store_views(database, *named, theirs)
    unnamed = gallery_document("s", {**filled().head(), "id": "none", "name": "sea"}, total_items=0, sequence=1)
    await database[GALLERY_VIEWS].insert_many(
        [
            {key: value for key, value in unnamed.items() if key != "name"},
            {**unnamed, "_id": "waits", "createdAt": None, "completeAt": 4},
        ]
    )
    views = Views(database)

    async def found(name: str, size: int = 10) -> tuple[set[int], list[str]]:
        counts, listed, after = set(), [], None
        while True:
            page = await views.list_galleries("s", size, 0, 1, name=name, after=after)
            counts.add(page.total)
            listed += [gallery.gallery["name"] for gallery in page.galleries]
            if page.next_cursor is None:
                return counts, listed
            after = read_gallery_cursor(page.next_cursor, is_search=True)

    in_order = ["sea", "Sea 10", "SÉANCE", "Seaside", "Sea\u6d77", "Sea\U0010fffd"]
    for size in (1, 2, 6, 10):
        assert await found("sEa", size) == ({6}, in_order), size
    assert await found("$") == ({1}, ["$sea"])
    assert await found(".*") == ({0}, [])
    assert (await found("se"))[1] == ["se", *in_order, "sebum"]


async def test_no_site_sees_another(database: Database) -> None:
    history = filled(site_id="theirs")
    await store_views(database, history)
    views = Views(database)
    assert await views.list_galleries("ours", 10, 0, 10) == (0, [], None)
    assert await views.get_gallery("ours", history.gallery_id, 10) is None
    assert await views.list_items("ours", history.gallery_id, 10, 0) is None
    assert await views.get_item("ours", history.gallery_id, next(iter(history.items))) is None
    assert await views.sequence_of("ours", history.gallery_id) is None


async def test_deleted_galleries_and_those_without_beginning_are_not_shown(database: Database) -> None:
    deleted = hidden_gallery_document("s", "deleted", sequence=9, deleted=True)
    unopened = hidden_gallery_document("s", "unopened", sequence=0, gap={"expected": 1, "received": 3})
    await database[GALLERY_VIEWS].insert_many([deleted, unopened])
    views = Views(database)
    assert await views.list_galleries("s", 10, 0, 10) == (0, [], None)
    for gallery_id in ("deleted", "unopened"):
        assert await views.get_gallery("s", gallery_id, 10) is None
        assert await views.list_items("s", gallery_id, 10, 0) is None
    assert await views.sequence_of("s", "deleted") == 9
    assert await views.sequence_of("s", "unknown") is None


async def test_a_gallery_that_waits_for_its_first_items_is_not_shown(database: Database) -> None:
    history = filled(items=2)
    await store_views(database, history)
    head = gallery_document("s", history.head(), total_items=2, sequence=3, complete_at=4)
    await database[GALLERY_VIEWS].replace_one({"_id": history.gallery_id}, head)
    views = Views(database)
    assert await views.get_gallery("s", history.gallery_id, 10) is None
    assert await views.list_galleries("s", 10, 0, 10) == (0, [], None)
    assert await views.list_items("s", history.gallery_id, 10, 0) is None
    assert await views.get_item("s", history.gallery_id, next(iter(history.items))) is None
    assert await views.sequence_of("s", history.gallery_id) == 3


async def test_every_query_is_served_by_an_index(database: Database) -> None:
    histories = [filled(), filled(), filled(site_id="another")]
    await store_views(database, *histories)
    views, gallery_id = Views(database), histories[0].gallery_id
    async with profiled(database) as operations:
        await views.get_gallery("s", gallery_id, 2, 1)
        await views.list_galleries("s", 2, 1, 3)
        for name in (None, "n"):
            cursor = (await views.list_galleries("s", 1, 0, 3, name=name)).next_cursor
            assert cursor is not None
            after = read_gallery_cursor(cursor, is_search=name is not None)
            await views.list_galleries("s", 1, 0, 3, name=name, after=after)
        await views.list_items("s", gallery_id, 2, 1)
        await views.get_item("s", gallery_id, next(iter(histories[0].items)))
        await views.get_items({ItemName("s", gallery_id, item_id) for item_id in histories[0].items})
        await views.sequence_of("s", gallery_id)
        for wanted in (ItemFilter(), ItemFilter(type="TEXT"), ItemFilter(tag="t"), ItemFilter("TEXT", "t")):
            await views.list_items("s", gallery_id, 2, 1, wanted)
            page = await views.list_items_after("s", gallery_id, 2, None, wanted)
            assert page is not None
            await views.list_items_after("s", gallery_id, 2, page.next_cursor, wanted)
    collections = {operation["ns"].partition(".")[2] for operation in operations}
    assert collections == {GALLERY_VIEWS, ITEM_VIEWS, "view_versions"}
    assert unindexed([operation for operation in operations if not operation["ns"].endswith("view_versions")]) == []


async def test_a_query_without_index_would_be_noticed(database: Database) -> None:
    await store_views(database, filled())
    async with profiled(database) as operations:
        await database[ITEM_VIEWS].find({"type": "TEXT"}).to_list(None)
        await database[ITEM_VIEWS].find({"galleryId": "x"}).sort("sequence").to_list(None)
    assert len(unindexed(operations)) == 2
