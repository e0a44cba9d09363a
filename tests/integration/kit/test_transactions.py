"""The outcome of a transaction whose commit or abort fails, on a real server with failpoints."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Literal

import pytest

from tests.support.failing_mongo import FailingMongo
from tests.support.waiting import eventually
from triptych.kit.failures import OutcomeUnknown, TransientFailure
from triptych.kit.mongo.driver import Database, open_database
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.mongo.transactions import end_left_open, transaction
from triptych.kit.process.waits import WAITS

COMMIT = "MongoDB to commit by a majority"
SOON_SECONDS = 5.0
"""MongoDB itself would end an open transaction after 60."""


@pytest.fixture(params=["pymongo", "motor"])
async def database(failing_mongo: FailingMongo, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    driver: Literal["pymongo", "motor"] = request.param
    async with open_database(failing_mongo.uri, f"t{uuid.uuid4().hex[:10]}", driver) as opened:
        await opened.create_collection("things")
        yield opened
        await end_left_open(opened)  # dropping the database would wait for open transactions
        await opened.client.drop_database(opened.name)


async def count(database: Database, within_seconds: float = SOON_SECONDS) -> int:
    async with asyncio.timeout(within_seconds):
        async with transaction(database) as session:
            await database["things"].update_one({"_id": 1}, {"$inc": {"count": 1}}, upsert=True, session=session)
    found = await database["things"].find_one({"_id": 1})
    assert found is not None
    return int(found["count"])


async def commits() -> bool:
    """Whether some transaction of this process is being committed."""
    waiting = {sample.labels["for"]: sample.value for metric in WAITS.collect() for sample in metric.samples}
    return waiting.get(COMMIT, 0) > 0


UNKNOWN: dict[str, dict[str, Any]] = {
    "interrupted by killSessions": {"errorCode": 11601},
    "interrupted by a step-down": {"errorCode": 11602},
    "time limit": {"errorCode": 50},
    "connection closed": {"closeConnection": True},
    "an unforeseen error": {"errorCode": 8000},
}


@pytest.mark.parametrize("how", UNKNOWN.values(), ids=UNKNOWN)
async def test_a_commit_that_fails_has_an_unknown_outcome(
    database: Database, failing_mongo: FailingMongo, how: dict[str, Any]
) -> None:
    async with failing_mongo.failing(["commitTransaction"], **how):
        with pytest.raises(OutcomeUnknown):
            await count(database)
    # The commit did not arrive, and its transaction is ended: the next one does not wait for it.
    assert await count(database) == 1


async def test_a_commit_without_its_majority_has_an_unknown_outcome_and_may_have_its_effect(
    database: Database, failing_mongo: FailingMongo
) -> None:
    error = {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "timed out"}
    async with failing_mongo.failing(["commitTransaction"], writeConcernError=error):
        with pytest.raises(OutcomeUnknown):
            await count(database)
    assert await count(database) == 2


async def test_a_commit_that_fails_once_is_sent_again(database: Database, failing_mongo: FailingMongo) -> None:
    async with failing_mongo.failing(["commitTransaction"], times=1, errorCode=11601):
        assert await count(database) == 1


async def test_a_transaction_that_is_known_to_be_undone_is_only_transient(
    database: Database, failing_mongo: FailingMongo
) -> None:
    undone: dict[str, Any] = {"errorCode": 251, "errorLabels": ["TransientTransactionError"]}
    async with failing_mongo.failing(["commitTransaction"], **undone):
        with pytest.raises(TransientFailure) as failure:
            await count(database)
    assert not isinstance(failure.value, OutcomeUnknown)
    assert await count(database) == 1


@pytest.mark.parametrize("cause", ["connection", "own"])
async def test_a_transaction_whose_abort_fails_blocks_nobody(
    database: Database, failing_mongo: FailingMongo, cause: str
) -> None:
    lost = ["abortTransaction", "insert"] if cause == "connection" else ["abortTransaction"]
    async with AsyncExitStack() as failures:
        with pytest.raises((TransientFailure, LookupError)):
            async with transaction(database) as session:
                await database["things"].update_one({"_id": 1}, {"$inc": {"count": 1}}, upsert=True, session=session)
                await failures.enter_async_context(failing_mongo.failing(lost, closeConnection=True))
                if cause == "connection":
                    await database["things"].insert_one({}, session=session)
                raise LookupError
    assert await count(database) == 1


async def test_a_new_claim_does_not_wait_for_a_transaction_of_its_own_process(
    database: Database, failing_mongo: FailingMongo
) -> None:
    ownership = Ownership(database, "s", "things")
    await ownership.claim([0])
    async with failing_mongo.failing(["abortTransaction"], closeConnection=True):
        with pytest.raises(LookupError):
            async with transaction(database) as session:
                await database["things"].bulk_write(await ownership.fence(session, [0]), session=session)
                raise LookupError
    async with asyncio.timeout(SOON_SECONDS):
        await ownership.claim([0])


async def test_a_cancelled_commit_blocks_nobody(database: Database, failing_mongo: FailingMongo) -> None:
    async with failing_mongo.failing(["commitTransaction"], times=1, blockConnection=True, blockTimeMS=1_500):
        committing = asyncio.create_task(count(database))
        await eventually(commits, "the commit is in progress")
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
        assert await count(database) in (1, 2)  # the commit may have arrived


async def test_a_commit_that_takes_long_is_reported(database: Database, failing_mongo: FailingMongo) -> None:
    waits = WAITS.problems
    async with failing_mongo.failing(["commitTransaction"], times=1, blockConnection=True, blockTimeMS=5_500):
        committing = asyncio.create_task(count(database, 20))

        async def is_reported() -> bool:
            return COMMIT in waits()

        await eventually(is_reported, "the wait is a problem", deadline_seconds=6)
        assert await committing == 1
    assert waits() == {}
