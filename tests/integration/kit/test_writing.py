"""Few and many writes of a transaction fail in the same ways, with both drivers, on a real server with failpoints."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from tests.support.failing_mongo import FailingMongo
from triptych.kit.failures import TransientFailure
from triptych.kit.mongo.driver import BulkWriteError, Database, UpdateOne, is_duplicate_key, open_database
from triptych.kit.mongo.transactions import end_left_open, transaction
from triptych.kit.mongo.writing import FEW_MAX, insert_all, write_all

COUNTS = (1, FEW_MAX, FEW_MAX + 1)


@pytest.fixture(params=["pymongo", "motor"])
async def database(failing_mongo: FailingMongo, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    driver: Literal["pymongo", "motor"] = request.param
    async with open_database(failing_mongo.uri, f"t{uuid.uuid4().hex[:10]}", driver) as opened:
        await opened["things"].insert_many([{"_id": number, "count": 0} for number in range(FEW_MAX + 1)])
        yield opened
        await end_left_open(opened)
        await opened.client.drop_database(opened.name)


async def add_one(database: Database, count: int) -> int:
    writes = [UpdateOne({"_id": number}, {"$inc": {"count": 1}}) for number in range(count)]
    async with transaction(database) as session:
        return await write_all(database["things"], writes, session)


async def total(database: Database) -> int:
    return sum([document["count"] async for document in database["things"].find({})])


@pytest.mark.parametrize("count", COUNTS)
async def test_updates_are_committed_and_counted(database: Database, count: int) -> None:
    assert await add_one(database, count) == count
    assert await total(database) == count


@pytest.mark.parametrize("count", COUNTS)
async def test_a_document_that_exists_is_refused(database: Database, count: int) -> None:
    with pytest.raises(BulkWriteError) as refused:
        async with transaction(database) as session:
            await insert_all(database["things"], [{"_id": -number} for number in range(count)], session)
    assert is_duplicate_key(refused.value)
    assert await database["things"].count_documents({}) == FEW_MAX + 1


@pytest.mark.parametrize("count", COUNTS)
async def test_a_conflict_with_another_transaction_is_transient(database: Database, count: int) -> None:
    async with transaction(database) as session:
        await database["things"].update_one({"_id": 0}, {"$inc": {"count": 1}}, session=session)
        with pytest.raises(TransientFailure):
            await add_one(database, count)
    assert await total(database) == 1


FAULTS: dict[str, dict[str, Any]] = {
    "connection closed": {"closeConnection": True},
    "not the primary": {"errorCode": 10107},
    "interrupted by a step-down": {"errorCode": 11602},
}


@pytest.mark.parametrize("how", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("count", COUNTS)
async def test_a_server_that_fails_is_a_transient_failure(
    database: Database, failing_mongo: FailingMongo, count: int, how: dict[str, Any]
) -> None:
    async with failing_mongo.failing(["update"], **how):
        with pytest.raises(TransientFailure):
            await add_one(database, count)
    async with asyncio.timeout(5):
        while await total(database) < count:
            try:
                await add_one(database, count)
            except TransientFailure:  # the driver looks for the primary
                continue
    assert await total(database) == count
