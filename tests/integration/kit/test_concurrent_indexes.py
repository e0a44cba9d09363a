"""Processes that start at the same time on an empty database all create or find their collections and indexes."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.support.failing_mongo import FailingMongo
from tests.support.installation import Installation
from triptych.cli.settings import CliSettings
from triptych.command import app as command
from triptych.command.store.documents import RESERVATIONS
from triptych.gateway import app as gateway
from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.mongo.codes import BUILDING_CODES
from triptych.kit.mongo.driver import ASCENDING, Database, IndexModel, open_database
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector import app as projector
from triptych.readmodel.versions import FIRST_VERSION
from triptych.webhooks import app as webhooks

pytestmark = pytest.mark.without_topics

ROUNDS, PROCESSES, REPEATS = 3, 4, 4


async def connections(stack: AsyncExitStack, installation: Installation, name: str) -> list[Database]:
    """A connection for each starting process."""
    uri = installation.addresses.mongo_uri
    return [await stack.enter_async_context(open_database(uri, name)) for _ in range(PROCESSES)]


async def test_many_processes_create_everything_at_once(installation: Installation) -> None:
    settings = installation.settings(CliSettings)
    catalogues = [
        command.indexes(settings),
        projector.indexes(FIRST_VERSION),
        gateway.indexes(settings),
        webhooks.INDEXES,
    ]
    for number in range(ROUNDS):
        async with AsyncExitStack() as stack:
            databases = await connections(stack, installation, f"{installation.name}_{number}")

            async def start(database: Database, first: int) -> None:
                for catalogue in (*catalogues[first:], *catalogues[:first]):
                    await ensure_indexes(database, catalogue)

            try:
                await asyncio.gather(
                    *(start(database, index % len(catalogues)) for database in databases for index in range(REPEATS))
                )
                created = set(await databases[0].list_collection_names())
                declared = {name for catalogue in catalogues for name in catalogue}
                assert declared - {RESERVATIONS} <= created
                assert RESERVATIONS not in created  # it has nothing but a shard key: only a cluster needs it
            finally:
                await databases[0].client.drop_database(databases[0].name)


async def test_processes_with_different_lifetimes_all_start(installation: Installation) -> None:
    def indexes(seconds: int) -> dict[str, list[IndexModel]]:
        return {"things": [IndexModel([("at", ASCENDING)], expireAfterSeconds=seconds), IndexModel([("a", ASCENDING)])]}

    async with AsyncExitStack() as stack:
        databases = await connections(stack, installation, installation.name)
        await asyncio.gather(
            *(ensure_indexes(database, indexes(100 + index % 2)) for database in databases for index in range(2))
        )
    created = await installation.database["things"].index_information()
    assert created["at_1"]["expireAfterSeconds"] in {100, 101}
    assert "a_1" in created


async def test_an_index_that_is_defined_otherwise_is_still_refused(installation: Installation) -> None:
    await ensure_indexes(installation.database, {"things": [IndexModel([("a", ASCENDING)])]})
    with pytest.raises(StartRefused) as refused:
        await ensure_indexes(installation.database, {"things": [IndexModel([("a", ASCENDING)], unique=True)]})
    assert not isinstance(refused.value, NotYetAvailable)


@pytest.mark.parametrize("code", sorted(BUILDING_CODES))
async def test_an_index_that_others_build_is_waited_for(failing_mongo: FailingMongo, code: int) -> None:
    wanted = {"things": [IndexModel([("a", ASCENDING)])]}
    async with open_database(failing_mongo.uri, f"building{code}") as database:
        async with failing_mongo.failing(["createIndexes"], times=2, errorCode=code):
            await ensure_indexes(database, wanted)
        async with failing_mongo.failing(["createIndexes"], errorCode=code):
            with pytest.raises(NotYetAvailable):
                await ensure_indexes(database, wanted)
