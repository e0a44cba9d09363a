"""The projector's storage on a real MongoDB."""

from collections.abc import AsyncIterator, Sequence

import pytest

from tests.support.histories import History
from tests.support.installation import open_own_database
from tests.support.profiling import profiled, unindexed
from triptych.devstack.stack import Addresses
from triptych.kit.failures import OwnershipLost, TransientFailure
from triptych.kit.mongo.driver import Database, DriverName
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.app import indexes
from triptych.projector.view.batch import Batch, fold
from triptych.projector.view.fold import View
from triptych.projector.view.repository import ItemKey, ViewRepository
from triptych.readmodel.documents import item_document
from triptych.readmodel.queries import Views

PARTITION = 0


@pytest.fixture
def driver() -> DriverName:
    """The usual one."""
    return "pymongo"


@pytest.fixture
async def database(stack: Addresses, driver: DriverName) -> AsyncIterator[Database]:
    """A database with the indexes of the projector; no topics."""
    async with open_own_database(stack, driver) as database:
        await ensure_indexes(database, indexes())
        yield database


async def _owner(database: Database) -> ViewRepository:
    """The repository of a process that has just become the owner."""
    ownership = Ownership(database, "scope", "gallery_views")
    await ownership.claim([PARTITION])
    return ViewRepository(database, ownership)


async def _apply(repository: ViewRepository, *histories: History, loaded: dict[str, View] | None = None) -> Batch:
    """Fold the histories and save the batch, on the stored views or on views `loaded` earlier."""
    if loaded is None:
        loaded = await repository.load([history.gallery_id for history in histories])
    batch = fold(loaded, [(history.site_id, event) for history in histories for event in history.events])
    await repository.save(loaded, batch, [PARTITION])
    return batch


def _keys(batch: Batch) -> list[ItemKey]:
    return [(item.gallery_id, item.item_id) for item in batch.items.values()]


def _filled(items: int, site_id: str = "s") -> History:
    history = History(site_id=site_id).create()
    for order in range(items):
        history.add_item(order)
    return history


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_what_is_saved_is_loaded_again(database: Database) -> None:
    repository = await _owner(database)
    shown, incomplete, unopened, deleted = (_filled(2) for _ in range(4))
    deleted.delete()
    del incomplete.wire[1], unopened.wire[0]
    batch = await _apply(repository, shown, incomplete, unopened, deleted)
    assert await repository.load(list(batch.views)) == batch.views
    assert await repository.count_incomplete() == 2
    stored = {item_id: item for item_id, item in batch.items.items() if item.item is not None}
    assert len(stored) == 2
    assert await repository.load_items(_keys(batch)) == stored


async def test_the_first_items_of_small_and_large_galleries(database: Database) -> None:
    await database["item_views"].drop_indexes()  # the first items are right without an index that sorts them
    repository = await _owner(database)
    histories: Sequence[History] = [_filled(0), _filled(3), _filled(100), _filled(101, site_id="another"), _filled(2)]
    batch = await _apply(repository, *histories)
    first = await repository.first_items(batch.views.values())
    for items in first.values():
        items.sort(key=lambda item: -float(item["sortOrder"]))
    assert first == {history.gallery_id: history.shown_items()[:100] for history in histories}


async def test_an_item_that_is_there_before_its_creation_is_replaced(database: Database) -> None:
    repository, history = await _owner(database), _filled(2)
    (early, *_) = history.items.values()
    await database["item_views"].insert_one(item_document("s", history.gallery_id, {**early, "title": "early"}, 9))
    await _apply(repository, history)
    stored = await repository.load_items([(history.gallery_id, item_id) for item_id in history.items])
    assert {item_id: item.item for item_id, item in stored.items()} == history.items


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_a_former_owner_can_write_nothing(database: Database) -> None:
    former, history = await _owner(database), _filled(1)
    owner = await _owner(database)
    with pytest.raises(OwnershipLost):
        await _apply(former, history)
    assert await Views(database).get_gallery("s", history.gallery_id, 1) is None
    assert await database["item_views"].estimated_document_count() == 0
    await _apply(owner, history)
    assert await Views(database).sequence_of("s", history.gallery_id) == 2


async def test_nothing_is_written_to_a_version_that_was_dropped(database: Database) -> None:
    repository = await _owner(database)
    await _apply(repository, _filled(1))
    await database.drop_collection("gallery_views")
    await database.drop_collection("item_views")
    with pytest.raises(OwnershipLost):
        await _apply(repository, _filled(1))
    assert await database.list_collection_names(filter={"name": {"$regex": "_views$"}}) == []


async def test_a_former_owner_cannot_create_what_its_successor_has_created(database: Database) -> None:
    former, history = await _owner(database), _filled(1)
    await _apply(await _owner(database), history)
    with pytest.raises(OwnershipLost):
        await _apply(former, history, loaded={})


async def test_a_view_that_changed_since_it_was_loaded_is_not_overwritten(database: Database) -> None:
    repository, history = await _owner(database), _filled(1)
    await _apply(repository, history)
    with pytest.raises(TransientFailure, match="created by another writer"):
        await _apply(repository, history, loaded={})

    outdated = await repository.load([history.gallery_id])
    history.add_item(8)
    await _apply(repository, history)
    history.add_item(9)
    with pytest.raises(TransientFailure, match="changed by another writer"):
        await _apply(repository, history, loaded=outdated)
    page = await Views(database).get_gallery("s", history.gallery_id, 10)
    assert page is not None
    assert (page.sequence, len(page.items)) == (3, 2)


async def test_every_operation_is_served_by_an_index(database: Database) -> None:
    repository = await _owner(database)
    histories = [_filled(3), _filled(101), _filled(1).delete()]
    batch = await _apply(repository, *histories)
    for history in histories[:2]:
        history.update_item(next(iter(history.items)), title="T").delete_item(next(iter(history.items)))
    async with profiled(database) as operations:
        await _apply(repository, *histories[:1], histories[1].delete())
        await repository.first_items(batch.views.values())
        await repository.load_items(_keys(batch))
        await repository.count_incomplete()
    assert {operation["op"] for operation in operations} >= {"query", "update", "remove", "command"}
    assert unindexed(operations) == []
