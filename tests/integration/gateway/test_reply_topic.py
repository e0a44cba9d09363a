"""Each gateway has a reply topic of its own as long as there are enough, and shares one otherwise."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from tests.support.installation import open_own_database
from triptych.devstack.stack import Addresses
from triptych.gateway.writing.reply_topic import LEASES, ReplyTopicLease, leased_reply_topic
from triptych.kit.mongo.driver import Database


@pytest.fixture
async def database(stack: Addresses) -> AsyncIterator[Database]:
    async with open_own_database(stack) as opened:
        yield opened


def is_shared() -> bool:
    return REGISTRY.get_sample_value("triptych_gateway_reply_topic_shared") == 1


async def expire(database: Database, number: int) -> None:
    """Let the time of a lease pass, as if its gateway had been killed."""
    await database[LEASES].update_one({"_id": number}, {"$set": {"until": datetime(2020, 1, 1, tzinfo=UTC)}})


async def test_gateways_that_start_together_get_different_topics(database: Database) -> None:
    leases = [ReplyTopicLease(database, 5) for _ in range(5)]
    numbers = await asyncio.gather(*(lease.choose() for lease in leases))
    # A gateway that was slower than another one at every free topic shares one, which is right, only not cheap.
    assert set(numbers) <= set(range(5))
    owners = [found["owner"] async for found in database[LEASES].find()]
    assert len(owners) == len(set(owners))
    again = [ReplyTopicLease(database, 5) for _ in range(5 - len(owners))]
    for lease in again:
        await lease.choose()
    assert await database[LEASES].count_documents({}) == 5


async def test_a_topic_is_free_when_its_gateway_has_stopped_or_was_killed(database: Database) -> None:
    async with leased_reply_topic(database, 3) as first, leased_reply_topic(database, 3) as second:
        assert (first, second) == (0, 1)
        await expire(database, 0)
        assert await ReplyTopicLease(database, 3).choose() == 0
    assert await ReplyTopicLease(database, 3).choose() == 1
    assert {found["_id"] async for found in database[LEASES].find()} == {0, 1}


async def test_more_gateways_than_topics(database: Database) -> None:
    owner, sharer = ReplyTopicLease(database, 1), ReplyTopicLease(database, 1)
    assert await owner.choose() == await sharer.choose() == 0
    assert is_shared()
    await owner.renew()
    assert not is_shared()
    await sharer.renew()
    assert is_shared()
    await owner.release()
    await sharer.renew()
    assert not is_shared()


async def test_a_gateway_that_was_paused_shares_its_topic_with_the_next_owner(database: Database) -> None:
    paused, other = ReplyTopicLease(database, 1), ReplyTopicLease(database, 1)
    await paused.choose()
    await expire(database, 0)
    assert await other.choose() == 0
    await paused.renew()
    assert (paused.number, is_shared()) == (0, True)
    await paused.release()
    assert await database[LEASES].count_documents({}) == 1, "the lease of the other gateway stays"


async def test_a_lease_that_has_expired_is_renewed_if_nobody_took_it(database: Database) -> None:
    lease = ReplyTopicLease(database, 1)
    await lease.choose()
    await expire(database, 0)
    await lease.renew()
    assert not is_shared()
    assert await ReplyTopicLease(database, 2).choose() == 1
