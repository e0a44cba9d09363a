"""A failing listener does not delay others, memory is bounded, and two relays share the listeners."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils

from tests.support.histories import History
from tests.support.installation import Installation
from tests.support.kafka import Publish
from tests.support.receiver import Receiver, hang, open_receiver
from tests.support.relay import Admin, OpenRelay
from tests.support.waiting import eventually
from triptych.kit.upgrading.presence import Holdings
from triptych.webhooks.relay.lanes import AHEAD_MAX
from triptych.webhooks.relay.shards import Shards
from triptych.webhooks.store.delivery_documents import DELIVERIES, DeliveryStatus, new_delivery
from triptych.webhooks.store.listener_documents import Listener

pytestmark = pytest.mark.only_topics("events", "events.dead-letter")


async def test_a_hanging_listener_delays_no_other(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triptych.webhooks.relay.worker.DELIVERIES", 0.2)  # abandons hanging requests
    async with open_receiver() as stuck:
        stuck.usual = hang
        hanging = await admin.subscribe(stuck.url(), timeoutSeconds=30)
        good = await admin.subscribe(receiver.url())
        histories = [History().create() for _ in range(100)]
        async with open_relay(webhooks_listener_concurrency=4):
            await publish([message for history in histories for message in history.messages])
            await admin.until(good, DeliveryStatus.DELIVERED, 100)
            assert len(stuck.requests) <= 4
            assert await admin.deliveries(hanging, DeliveryStatus.DELIVERED) == []


CLAIMED = {"lease": {"$ne": None}}


async def insert_due_deliveries(admin: Admin, listener: Listener, count: int, event_bytes: int = 100) -> None:
    """Insert `count` deliveries of a listener that have been due for a minute."""
    now = datetime.now(UTC) - timedelta(minutes=1, seconds=1)
    event = {"eventType": "t", "galleryId": "g", "sequence": 1, "occurredAt": now}
    backlog = [new_delivery(listener, {**event, "_id": str(uuid_utils.uuid7())}, now) for _ in range(count)]
    value = json.dumps({"eventType": "t", "eventTime": "x", "fill": "x" * event_bytes}).encode()
    await admin.database["webhook_events"].insert_many([{"_id": row["eventId"], "value": value} for row in backlog])
    await admin.database[DELIVERIES].insert_many(backlog)


async def test_claimed_deliveries_of_large_events_are_bounded_in_bytes(
    open_relay: OpenRelay, admin: Admin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triptych.webhooks.relay.worker.CLAIMED_BYTES_MAX", 20_000)
    monkeypatch.setattr("triptych.webhooks.relay.claiming.CLAIMED_AT_ONCE", 5)
    receiver.usual = hang
    listener = await admin.subscribe(receiver.url(), timeoutSeconds=2)
    await insert_due_deliveries(admin, listener, 200, event_bytes=1_000)
    async with open_relay(webhooks_listener_concurrency=100):
        await receiver.until(15)
        await admin.until_operational_events({"listener.behind"})
        assert await admin.database[DELIVERIES].count_documents(CLAIMED) <= 25


async def test_claimed_deliveries_of_a_long_backlog_are_bounded(
    open_relay: OpenRelay, admin: Admin, receiver: Receiver
) -> None:
    receiver.usual = hang
    listener = await admin.subscribe(receiver.url(), timeoutSeconds=1)
    await insert_due_deliveries(admin, listener, 5_000)
    async with open_relay(webhooks_listener_concurrency=4):
        await receiver.until(4)
        assert 4 <= await admin.database[DELIVERIES].count_documents(CLAIMED) <= AHEAD_MAX
        await admin.until_operational_events({"listener.behind"})
    assert await admin.database[DELIVERIES].count_documents(CLAIMED) == 0


@pytest.mark.parametrize("dialect", ["standard-hmac", "wix-jwt"])
async def test_one_event_to_many_listeners(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, dialect: str
) -> None:
    count = 200
    for number in range(count):
        # On a busy machine, 200 answers of this process can take longer than Wix's timeout; a retry comes too late.
        await admin.subscribe(receiver.url(f"/{number}"), format=dialect, timeoutSeconds=20)
    async with open_relay():
        await publish(History().create().messages)

        async def all_there() -> bool:
            return len(receiver.requests) >= count

        await eventually(all_there, "each listener has it")
    assert Counter(request.path for request in receiver.requests) == {f"/{number}": 1 for number in range(count)}
    if dialect == "wix-jwt":
        # All listeners share one signature, since the key belongs to the site.
        assert len({request.body for request in receiver.requests}) == 1


async def test_two_relays_share_the_listeners_and_send_nothing_twice(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, installation: Installation
) -> None:
    listeners = [await admin.subscribe(receiver.url(f"/{number}")) for number in range(8)]
    histories = [History().create() for _ in range(60)]
    async with open_relay(webhooks_shard_lease=1), open_relay(webhooks_shard_lease=1):

        async def shared() -> bool:
            owners = await admin.database["webhook_shards"].distinct("owner")
            return len(owners) == 2 and await admin.database["webhook_shards"].count_documents({}) == 16

        await eventually(shared, "both have shards")
        await publish([message for history in histories for message in history.messages])
        for listener in listeners:
            await admin.until(listener, DeliveryStatus.DELIVERED, 60)
    received = Counter((request.path, request.id) for request in receiver.requests)
    assert len(received) == 8 * 60
    assert set(received.values()) == {1}


async def test_shards_are_shared_taken_over_and_released(installation: Installation) -> None:
    now = 0.0
    first = Shards(installation.database, 8, timedelta(seconds=1), lambda: now)
    second = Shards(installation.database, 8, timedelta(seconds=1), lambda: now)
    await first.balance()
    assert first.owned == frozenset(range(8))
    await second.balance()  # all have an owner
    assert second.owned == frozenset()
    await first.balance()
    await second.balance()
    assert len(first.owned) == len(second.owned) == 4
    assert first.owned | second.owned == frozenset(range(8))

    # The first one dies. Its lease ends by the server's clock.
    async def taken_over() -> bool:
        await second.balance()
        return len(second.owned) == 8

    await eventually(taken_over, "the second one has all shards")
    now = 2.0
    assert first.owned == frozenset()  # by its own clock it may not send any more
    await second.release()
    third = Shards(installation.database, 8, timedelta(seconds=1), lambda: now)
    await third.balance()
    assert len(third.owned) == 8


async def test_the_successor_of_a_killed_relay_has_its_shards_at_once(installation: Installation) -> None:
    noted: list[str] = []

    async def note(name: str) -> None:
        noted.append(name)

    lease = timedelta(minutes=1)
    killed, other = Shards(installation.database, 8, lease), Shards(installation.database, 8, lease)
    await killed.succeed(Holdings((), note))
    assert noted == [killed.id]
    await killed.balance()
    await other.balance()  # so that the first one leaves a share to it
    await killed.balance()
    await other.balance()
    assert len(other.owned) == len(killed.owned) == 4
    successor = Shards(installation.database, 8, lease)
    await successor.succeed(Holdings((killed.id,), note))
    await successor.balance()
    assert successor.owned == killed.owned
    await other.balance()
    assert len(other.owned) == 4
