"""Readers while a new version of the views replaces the old one."""

from datetime import timedelta

import pytest

from tests.support.stored_views import filled, store_views
from triptych.kit.failures import TransientFailure
from triptych.kit.mongo.driver import Database, Document, aggregate
from triptych.kit.startup.provision import ensure_indexes
from triptych.readmodel import queries
from triptych.readmodel.documents import GALLERY_VIEWS, ITEM_VIEWS, gallery_document
from triptych.readmodel.queries import Views, indexes
from triptych.readmodel.versions import Versions, names_of


async def test_readers_switch_to_a_new_version_at_once(database: Database) -> None:
    old, new = filled(items=2), filled(items=3)
    await store_views(database, old)
    views, versions = Views(database), Versions(database)
    assert await views.sequence_of("s", old.gallery_id) == 3

    building = await versions.begin_building()
    assert (building, await versions.begin_building(), await versions.active()) == (2, 2, 1)
    await ensure_indexes(database, indexes(building))
    await store_views(database, new, names=names_of(building))
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
    history = filled(items=3)
    await store_views(database, history)
    views, versions = Views(database), Versions(database)
    assert await views.get_gallery("s", history.gallery_id, 10) is not None
    building = await versions.begin_building()
    await ensure_indexes(database, indexes(building))
    await store_views(database, history, names=names_of(building))
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
    history = filled(items=3)
    await store_views(database, history)
    views, versions = Views(database), Versions(database)
    building = await versions.begin_building()
    await ensure_indexes(database, indexes(building))
    await store_views(database, history, names=names_of(building))
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
