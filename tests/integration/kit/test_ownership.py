"""Fencing on a real replica set: of two owners, only the later can commit."""

import asyncio
from typing import Literal

import pytest

from services.kit import ownership as ownership_module
from services.kit.failures import OwnershipLost, TransientFailure
from services.kit.mongo import open_database, transaction
from services.kit.ownership import Ownership
from services.kit.provision import ensure_indexes
from tests.support.installation import Installation


async def test_a_new_claim_fences_off_the_previous_owner(installation: Installation) -> None:
    database = installation.database
    await ensure_indexes(database, ownership_module.INDEXES)
    old, new = Ownership(database, "s"), Ownership(database, "s")
    await old.claim([0, 1])
    await new.claim([1])
    assert (old.epoch(1), new.epoch(1)) == (1, 2)
    async with transaction(database) as session:
        await old.verify(session, [0])
    async with transaction(database) as session:
        await new.verify(session, [1])
    with pytest.raises(OwnershipLost):
        async with transaction(database) as session:
            await database["facts"].insert_one({"by": "old"}, session=session)
            await old.verify(session, [0, 1])
    assert await database["facts"].count_documents({}) == 0


async def test_a_claim_during_the_transaction_aborts_it_or_waits_for_it(installation: Installation) -> None:
    database = installation.database
    await ensure_indexes(database, ownership_module.INDEXES)
    old, new = Ownership(database, "s"), Ownership(database, "s")
    await old.claim([0])
    with pytest.raises((OwnershipLost, TransientFailure)):
        async with transaction(database) as session:
            await database["facts"].insert_one({"by": "old"}, session=session)
            await new.claim([0])
            await old.verify(session, [0])
    assert await database["facts"].count_documents({}) == 0


async def test_scopes_do_not_meet(installation: Installation) -> None:
    database = installation.database
    await ensure_indexes(database, ownership_module.INDEXES)
    one, other = Ownership(database, "one"), Ownership(database, "other")
    await one.claim([0])
    await other.claim([0])
    async with transaction(database) as session:
        await one.verify(session, [0])
    one.release()
    with pytest.raises(OwnershipLost):
        one.epoch(0)


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_a_transaction_that_its_owner_left_open_holds_nobody_up(
    installation: Installation, driver: Literal["pymongo", "motor"]
) -> None:
    async with open_database(installation.addresses.mongo_uri, installation.name, driver) as database:
        await ensure_indexes(database, ownership_module.INDEXES)
        old, new = Ownership(database, "s"), Ownership(installation.database, "s")
        await old.claim([0])
        with pytest.raises(TransientFailure):
            async with transaction(database) as session:
                await old.verify(session, [0])
                await asyncio.wait_for(new.claim([0]), 20)
                await database["facts"].insert_one({"by": "old"}, session=session)
        async with transaction(installation.database) as session:
            await new.verify(session, [0])
    assert await installation.database["facts"].count_documents({}) == 0
    assert await installation.database["owner_sessions"].count_documents({}) == 1
