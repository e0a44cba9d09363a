"""Fencing on a real replica set: if two processes claim a partition, only the later owner can commit."""

import asyncio
import time
from collections.abc import Iterable
from typing import Literal

import pytest

from tests.support.installation import Installation
from triptych.kit.failures import OwnershipLost, TransientFailure
from triptych.kit.mongo import fencing as ownership_module
from triptych.kit.mongo.driver import Database, Session, open_database
from triptych.kit.mongo.fencing import Ownership, count_documents
from triptych.kit.mongo.transactions import transaction
from triptych.kit.startup.provision import ensure_indexes

pytestmark = pytest.mark.without_topics


def owner(database: Database, scope: str = "s") -> Ownership:
    return Ownership(database, scope, "facts")


async def write(database: Database, session: Session, ownership: Ownership, partitions: Iterable[int]) -> bool:
    """Write to the claims in a transaction. Returns whether all of them were found."""
    fences = await ownership.fence(session, partitions)
    written = await database["facts"].bulk_write(fences, ordered=False, session=session)
    return written.matched_count == len(fences)


async def facts(database: Database) -> int:
    return await count_documents(database["facts"])


async def test_a_new_claim_fences_off_the_previous_owner(installation: Installation) -> None:
    database = installation.database
    old, new = owner(database), owner(database)
    await old.claim([0, 1])
    await new.claim([1])
    async with transaction(database) as session:
        assert await write(database, session, old, [0])
    async with transaction(database) as session:
        assert await write(database, session, new, [1, 1])
    async with transaction(database) as session:
        assert not await write(database, session, old, [0, 1])
    await old.check([0])
    await new.check([1])
    with pytest.raises(OwnershipLost, match=r"\[0, 1\] have another owner"):
        await old.check([1, 0])


async def test_epochs_rise_with_every_claim_and_after_all_claims_were_lost(installation: Installation) -> None:
    database = installation.database
    before = int(time.time())
    one, other, last = (owner(database) for _ in range(3))
    await one.claim([0, 1])
    await other.claim([0, 1])
    assert before <= one.epoch(0) < other.epoch(0)
    await database["facts"].update_many({}, {"$set": {"epoch": other.epoch(0) + 1_000_000}})
    await last.claim([1])
    assert last.epoch(1) == other.epoch(0) + 1_000_001
    await database["facts"].drop()
    await one.claim([0])
    assert one.epoch(0) >= before


async def test_a_claim_during_the_transaction_aborts_it_or_waits_for_it(installation: Installation) -> None:
    database = installation.database
    old, new = owner(database), owner(database)
    await old.claim([0])
    with pytest.raises((OwnershipLost, TransientFailure)):
        async with transaction(database) as session:
            await database["facts"].insert_one({"_id": "by old"}, session=session)
            await new.claim([0])
            if not await write(database, session, old, [0]):
                raise OwnershipLost
    assert await facts(database) == 0


async def test_scopes_are_independent(installation: Installation) -> None:
    database = installation.database
    one, other = owner(database, "one"), owner(database, "other")
    await one.claim([0])
    await other.claim([0])
    async with transaction(database) as session:
        assert await write(database, session, one, [0])
    one.release()
    with pytest.raises(OwnershipLost):
        one.epoch(0)


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_a_transaction_that_its_owner_left_open_delays_nobody(
    installation: Installation, driver: Literal["pymongo", "motor"]
) -> None:
    async with open_database(installation.addresses.mongo_uri, installation.name, driver) as database:
        await ensure_indexes(database, ownership_module.INDEXES)
        old, new = owner(database), owner(installation.database)
        await old.claim([0])
        with pytest.raises(TransientFailure):
            async with transaction(database) as session:
                assert await write(database, session, old, [0])
                await asyncio.wait_for(new.claim([0]), 20)
                await database["facts"].insert_one({"_id": "by old"}, session=session)
        async with transaction(installation.database) as session:
            assert await write(installation.database, session, new, [0])
    assert await facts(installation.database) == 0
    assert await installation.database["owner_sessions"].count_documents({}) == 1
