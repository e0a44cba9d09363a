"""The projector and the readers of its views as on a sharded cluster: every command names its shard."""

from collections.abc import AsyncIterator

import pytest

from tests.support.histories import History
from tests.support.installation import open_own_database
from tests.support.shards import Router, Shape, assert_kept
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.app import indexes
from triptych.projector.view.batch import fold
from triptych.projector.view.repository import ViewRepository
from triptych.readmodel.queries import ItemFilter, Views

SITE = "s"


@pytest.fixture
async def database(router: Router, stack: Addresses) -> AsyncIterator[Database]:
    """A database that counts as that of a cluster."""
    async with open_own_database(stack) as database:
        await ensure_indexes(database, indexes())
        yield database


async def test_events_are_stored_on_the_shards_of_their_galleries(router: Router, database: Database) -> None:
    ownership = Ownership(database, "scope", "gallery_views")
    await ownership.claim([0])
    repository = ViewRepository(database, ownership)
    histories = [History(site_id=SITE).create() for _ in range(3)]
    for history in histories:
        for order in range(3):
            history.add_item(order)
    for is_again in (False, True):
        loaded = await repository.load([history.gallery_id for history in histories])
        batch = fold(loaded, [(SITE, event) for history in histories for event in history.events])
        await repository.save(loaded, batch, [0])
        if is_again:
            break
        keys = [(item.gallery_id, item.item_id) for item in batch.items.values()]
        assert len(await repository.load_items(keys)) == 9
        assert len(await repository.load_item_sequences(keys)) == 9
        first = next(iter(histories[0].items))
        histories[0].update_item(first, title="T").delete_item(first)
        histories[1].delete()
    await repository.first_items(batch.views.values())
    assert await repository.item_ids(histories[2].gallery_id, "", 10) == sorted(histories[2].items)
    assert len(await repository.items_before(histories[2].gallery_id, 100)) == 3
    assert router.on_all_shards == set()
    assert router.checked > 10
    assert_kept(router)


async def test_of_all_readers_only_the_list_of_a_site_asks_all_shards(router: Router, database: Database) -> None:
    ownership = Ownership(database, "scope", "gallery_views")
    await ownership.claim([0])
    repository, history = ViewRepository(database, ownership), History(site_id=SITE).create()
    history.add_item(1)
    history.add_item(2)
    await repository.save({}, fold({}, [(SITE, event) for event in history.events]), [0])
    views, id_ = Views(database), history.gallery_id
    page = await views.get_gallery(SITE, id_, 10)
    assert page is not None
    assert len(page.items) == 2
    for item_id, item in history.items.items():
        assert await views.get_item(SITE, id_, item_id) == item
    items = await views.list_items(SITE, id_, 10, 0, ItemFilter(type=page.items[0]["type"]))
    assert items is not None
    assert len(items.items) == 2
    assert await views.list_items_after(SITE, id_, 1) is not None
    assert await views.sequence_of(SITE, id_) == 3
    assert router.on_all_shards == set()
    for name in (None, "n"):
        assert (await views.list_galleries(SITE, 10, 0, 10, name=name)).total == 1
    assert router.on_all_shards == {
        Shape("gallery_views", command, fields)
        for command in ("find", "aggregate")
        for fields in (("createdAt", "siteId"), ("createdAt", "name", "siteId"))
    }
    assert_kept(router)
