"""Processes that start at the same moment on an empty database all find what they need."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.support.failing_mongo import FailingMongo
from tests.support.failing_mongo import failing_mongo as failing_mongo
from tests.support.installation import Installation
from triptych.cli.settings import CliSettings
from triptych.command import app as command
from triptych.gateway import app as gateway
from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.mongo.codes import BUILDING_CODES
from triptych.kit.mongo.driver import ASCENDING, Database, IndexModel, open_database
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector import app as projector
from triptych.readmodel.versions import FIRST_VERSION
from triptych.webhooks import app as webhooks

ROUNDS, PROCESSES, REPEATS = 3, 4, 4


async def connections(stack: AsyncExitStack, installation: Installation, name: str) -> list[Database]:
    """One for each process that starts."""
    uri = installation.addresses.mongo_uri
    return [await stack.enter_async_context(open_database(uri, name)) for _ in range(PROCESSES)]


async def test_many_processes_create_everything_at_once(installation: Installation) -> None:
    settings = installation.settings(CliSettings)
    parts = [
        command.indexes(settings),
        projector.indexes(FIRST_VERSION),
        gateway.indexes(settings),
        webhooks.INDEXES,
    ]
    for number in range(ROUNDS):
        async with AsyncExitStack() as stack:
            databases = await connections(stack, installation, f"{installation.name}_{number}")

            async def start(database: Database, first: int) -> None:
                for part in (*parts[first:], *parts[:first]):
                    await ensure_indexes(database, part)

            try:
                await asyncio.gather(
                    *(start(database, index % len(parts)) for database in databases for index in range(REPEATS))
                )
                there = set(await databases[0].list_collection_names())
                assert {name for part in parts for name in part} <= there
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
    there = await installation.database["things"].index_information()
    assert there["at_1"]["expireAfterSeconds"] in {100, 101}
    assert "a_1" in there


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
