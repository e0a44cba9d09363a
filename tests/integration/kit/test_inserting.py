"""Inserts in a transaction, and inserts that are repeated: also while the server is going away."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.failing_mongo import FailingMongo
from triptych.kit.failures import Fault, fault_of
from triptych.kit.mongo.driver import BulkWriteError, Database, DuplicateKeyError, PyMongoError, open_database
from triptych.kit.mongo.inserting import insert_all, insert_new
from triptych.kit.mongo.transactions import transaction

FIRST: list[dict[str, Any]] = [{"_id": 1}, {"_id": 2}]
ALL: list[dict[str, Any]] = [*FIRST, {"_id": 3}]


@pytest.fixture
async def database(failing_mongo: FailingMongo) -> AsyncIterator[Database]:
    async with open_database(failing_mongo.uri, f"t{uuid.uuid4().hex[:10]}", "pymongo") as opened:
        await insert_new(opened["things"], FIRST)
        yield opened
        await opened.client.drop_database(opened.name)


async def test_documents_that_exist_are_named(database: Database) -> None:
    assert await insert_new(database["things"], ALL) == {0, 1}
    assert await insert_new(database["things"], []) == frozenset()


@pytest.mark.parametrize("code", [64, 91, 11600], ids=["late", "shutting down", "interrupted by a shutdown"])
async def test_without_a_majority_it_is_tried_again(database: Database, failing_mongo: FailingMongo, code: int) -> None:
    concern = {"code": code, "errmsg": "planted"}
    async with failing_mongo.failing(["insert"], writeConcernError=concern):
        with pytest.raises(BulkWriteError) as refused:
            await insert_new(database["things"], ALL)
    assert fault_of(refused.value) is Fault.DEPENDENCY
    assert await insert_new(database["things"], ALL) == {0, 1, 2}


async def test_a_document_that_is_refused_is_no_fault_of_the_server(database: Database) -> None:
    await database.command({"collMod": "things", "validator": {"_id": {"$ne": 3}}})
    with pytest.raises(BulkWriteError) as refused:
        await insert_new(database["things"], ALL)
    assert fault_of(refused.value) is Fault.OURS


@pytest.mark.parametrize("ids", [[], [3], [3, 4]], ids=["none", "one", "several"])
async def test_all_documents_are_inserted_in_the_transaction(database: Database, ids: list[int]) -> None:
    async with transaction(database) as session:
        await insert_all(database["things"], [{"_id": number} for number in ids], session)
        assert await database["things"].count_documents({}) == len(FIRST)  # not committed yet
    assert await database["things"].distinct("_id") == [1, 2, *ids]


@pytest.mark.parametrize("ids", [[2], [3, 2]], ids=["one", "several"])
async def test_a_document_that_exists_refuses_all(database: Database, ids: list[int]) -> None:
    with pytest.raises(DuplicateKeyError):
        async with transaction(database) as session:
            await insert_all(database["things"], [{"_id": number} for number in ids], session)
    assert await database["things"].distinct("_id") == [1, 2]


@pytest.mark.parametrize("ids", [[3], [4, 3]], ids=["one", "several"])
async def test_a_document_that_is_not_valid_is_no_duplicate(database: Database, ids: list[int]) -> None:
    await database.command({"collMod": "things", "validator": {"_id": {"$ne": 3}}})
    with pytest.raises(PyMongoError) as refused:
        async with transaction(database) as session:
            await insert_all(database["things"], [{"_id": number} for number in ids], session)
    assert not isinstance(refused.value, DuplicateKeyError)
    assert fault_of(refused.value) is Fault.OURS
    assert await database["things"].distinct("_id") == [1, 2]
