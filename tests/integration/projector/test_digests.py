"""Comparing the write model with the views, on a real MongoDB and over both drivers."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.support.installation import open_own_database
from tests.support.profiling import profiled, unindexed
from triptych.command.store import documents as write_model
from triptych.devstack.stack import Addresses
from triptych.kit.mongo import driver as mongo
from triptych.kit.mongo.driver import Database, Document, DriverName
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.rebuild import digests
from triptych.projector.rebuild.digests import GalleryStore
from triptych.projector.rebuild.verification import compare
from triptych.readmodel.documents import gallery_document, item_document
from triptych.readmodel.queries import indexes

VIEWS = 1
IDS = [f"gallery-{number}" for number in range(7)]
CREATED = "2026-01-01T00:00:00Z"


@pytest.fixture
async def database(stack: Addresses, driver: DriverName) -> AsyncIterator[Database]:
    """A write model and its views, equal: galleries with 0, 3, 6, ... items."""
    async with open_own_database(stack, driver) as database:
        await ensure_indexes(database, write_model.indexes(timedelta(days=1)) | indexes(VIEWS))
        heads, items = [], []
        for number, gallery_id in enumerate(IDS):
            wire = {"id": gallery_id, "name": "N", "sortOrder": number, "createdDate": CREATED}
            heads.append(gallery_document("s", wire, total_items=3 * number, sequence=1))
            for order in range(3 * number):
                item = {"id": f"{gallery_id}-{order}", "sortOrder": float(order), "type": "TEXT", "title": "T"}
                items.append(item_document("s", gallery_id, item, 1))
        await database["gallery_views"].insert_many(heads)
        await database["galleries"].insert_many([{**head, "status": "live"} for head in heads])
        await database["item_views"].insert_many(items)
        # The write model has another order and other ids.
        await database["items"].insert_many([{**item, "_id": item["item"]["id"]} for item in reversed(items)])
        yield database


@pytest.fixture
def driver() -> DriverName:
    """The default driver."""
    return "pymongo"


async def _change(database: Database, fields: Document, item: str = f"{IDS[2]}-1") -> None:
    changed = await database["item_views"].update_many({"item.id": item}, {"$set": fields})
    assert changed.modified_count == 1


async def _hashes(database: Database) -> tuple[bytes | None, bytes | None]:
    return await GalleryStore(database).combined_hash(IDS), await GalleryStore(database, VIEWS).combined_hash(IDS)


async def _differing(database: Database) -> list[str]:
    compared = await compare(database, VIEWS, lambda *_: None)
    return [difference.gallery_id for difference in compared.differences]


@pytest.fixture
def _one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Galleries that differ are compared only once more."""
    monkeypatch.setattr("triptych.projector.rebuild.verification.ROUNDS", 1)
    monkeypatch.setattr("triptych.projector.rebuild.verification.PAUSE_SECONDS", 0)


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_equal_galleries_have_the_same_combined_hash(database: Database) -> None:
    written, viewed = await _hashes(database)
    assert written == viewed is not None
    assert await _differing(database) == []


@pytest.mark.usefixtures("_one_round")
async def test_a_changed_item_is_found(database: Database) -> None:
    right = {"item.title": "T", "item.sortOrder": 1.0}
    for wrong in ({"item.title": "U"}, {"item.sortOrder": 1.5}):
        await _change(database, wrong)
        written, viewed = await _hashes(database)
        assert written != viewed
        assert await _differing(database) == [IDS[2]]
        await _change(database, right)
        assert await _differing(database) == []


@pytest.mark.usefixtures("_one_round")
async def test_an_item_that_one_of_them_lacks_is_found(database: Database) -> None:
    for collection in ("items", "item_views"):
        for gallery_id in (IDS[1], IDS[-1]):  # the first and the last gallery with items
            item = await database[collection].find_one_and_delete({"galleryId": gallery_id})
            assert item is not None
            written, viewed = await _hashes(database)
            assert written != viewed
            assert await _differing(database) == [gallery_id]
            await database[collection].insert_one(item)
    assert await _differing(database) == []


@pytest.mark.usefixtures("_one_round")
async def test_a_changed_gallery_is_found(database: Database) -> None:
    views = database["gallery_views"]
    right = await views.find_one({"_id": IDS[3]})
    assert right is not None
    for wrong in ({"name": "M"}, {"sequence": 2}, {"totalItems": 4}, {"siteId": "t"}):
        await views.update_one({"_id": IDS[3]}, {"$set": wrong})
        written, viewed = await _hashes(database)
        assert written != viewed
        assert await _differing(database) == [IDS[3]]
        await views.replace_one({"_id": IDS[3]}, right)
    assert await _differing(database) == []


async def test_the_order_of_fields_makes_no_difference(database: Database) -> None:
    found = await database["item_views"].find_one({"item.id": f"{IDS[2]}-1"})
    assert found is not None
    await _change(database, {"item": dict(reversed(found["item"].items()))})
    written, viewed = await _hashes(database)
    assert written != viewed  # it is a hash of bytes, which is only the first comparison
    assert await GalleryStore(database).digests(IDS) == await GalleryStore(database, VIEWS).digests(IDS)
    assert await _differing(database) == []


async def test_galleries_that_are_not_shown_make_no_difference(database: Database) -> None:
    await database["galleries"].update_one({"_id": IDS[1]}, {"$set": {"status": "deleted"}})
    await database["items"].delete_many({"galleryId": IDS[1]})
    await database["item_views"].delete_many({"galleryId": IDS[1]})
    await database["gallery_views"].delete_one({"_id": IDS[1]})
    written, viewed = await _hashes(database)
    assert written == viewed
    # An incomplete clone has items already.
    await database["galleries"].update_one({"_id": IDS[4]}, {"$set": {"status": "building"}})
    await database["item_views"].delete_many({"galleryId": IDS[4]})
    await database["gallery_views"].delete_one({"_id": IDS[4]})
    assert await _differing(database) == []


async def test_a_gallery_that_changes_meanwhile_has_no_combined_hash(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def change_and_find(*args: object) -> AsyncIterator[bytes]:
        await database["galleries"].update_one({"_id": IDS[5]}, {"$inc": {"sequence": 1}})
        async for raw in mongo.find_raw(*args):  # type: ignore[arg-type]
            yield raw

    monkeypatch.setattr(digests, "find_raw", change_and_find)
    assert await GalleryStore(database).combined_hash(IDS) is None


async def test_a_former_version_is_compared_too(database: Database) -> None:
    for name in ("gallery_views", "item_views"):
        await database[f"{name}_2"].insert_many(await database[name].find().to_list())
    await _change(database, {"item.title": "U"})
    compared = await compare(database, 2, lambda *_: None, former=VIEWS)
    assert (compared.differences, compared.outdated) == ([], [IDS[2]])


async def test_chunks_are_bounded_in_galleries_and_items(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [chunk async for chunk in GalleryStore(database).ids()] == [IDS]
    monkeypatch.setattr(digests, "GALLERIES_AT_ONCE", 3)
    assert [chunk async for chunk in GalleryStore(database).ids()] == [IDS[:3], IDS[3:6], IDS[6:]]
    monkeypatch.setattr(digests, "ITEMS_AT_ONCE", 20)
    assert [chunk async for chunk in GalleryStore(database, VIEWS).ids()] == [IDS[:3], IDS[3:5], IDS[5:]]


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_claims_are_no_galleries(database: Database) -> None:
    store = GalleryStore(database)
    assert await store.count() == len(IDS)
    await Ownership(database, "scope", "galleries").claim([0, 1])
    assert await store.count() == len(IDS)
    assert [gallery_id async for chunk in store.ids() for gallery_id in chunk] == sorted(IDS)


async def test_every_comparison_is_served_by_an_index(database: Database) -> None:
    async with profiled(database) as operations:
        await _hashes(database)
        await GalleryStore(database).digests(IDS)
    assert {operation["ns"].partition(".")[2] for operation in operations} >= {"items", "item_views", "galleries"}
    assert unindexed(operations) == []
