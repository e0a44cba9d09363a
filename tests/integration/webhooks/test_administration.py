"""Listeners are paused, changed and deleted, and the relay disables those that fail."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.histories import History
from tests.support.kafka import Publish
from tests.support.receiver import Receiver, status
from tests.support.relay import ALL_TYPES, SITE, Admin, OpenRelay
from tests.support.waiting import eventually
from triptych.webhooks.model.registration import ListenerChange
from triptych.webhooks.store.delivery_documents import DeliveryStatus
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus
from triptych.webhooks.store.listeners import LISTENERS
from triptych.webhooks.store.resending import Range

pytestmark = pytest.mark.only_topics("events", "events.dead-letter")


async def test_a_paused_listener_waits_and_gets_all_when_resumed(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url())
    other = await admin.subscribe(receiver.url("/other"))
    await admin.listeners.pause(SITE, listener.id)
    async with open_relay():
        await publish(History().create().rename("n").messages)
        await admin.until(other, DeliveryStatus.DELIVERED, 2)
        assert len(await admin.deliveries(listener, DeliveryStatus.PENDING)) == 2
        assert receiver.at("/hook") == []
        await admin.listeners.resume(SITE, listener.id)
        await admin.until(listener, DeliveryStatus.DELIVERED, 2)


async def test_changes_apply_to_later_events(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url("/old"))
    async with open_relay():
        await publish(History().create().messages)
        await admin.until(listener, DeliveryStatus.DELIVERED)
        change = ListenerChange.model_validate({"url": receiver.url("/new"), "eventTypes": ALL_TYPES[:1]})
        await admin.listeners.change(SITE, listener.id, change)
        await publish(History().create().rename("n").messages)
        await receiver.until(1, "/new")
    assert len(receiver.at("/old")) == len(receiver.at("/new")) == 1


async def test_deleting_cancels_open_deliveries_and_keeps_the_log(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triptych.webhooks.relay.claiming.RECONCILE_SECONDS", 0.2)
    listener = await admin.subscribe(receiver.url(), retryDelays=[600])
    receiver.usual = status(500)
    async with open_relay():
        await publish(History().create().messages)
        await receiver.until(1)
        assert await admin.listeners.delete(SITE, listener.id)
        (delivery,) = await admin.until(listener, DeliveryStatus.CANCELLED)
    assert delivery["reason"] == "listener-deleted"
    assert len(delivery["log"]) == 1
    assert await admin.listeners.get(SITE, listener.id) is None
    assert await admin.listeners.list(SITE, 10) == []


async def test_gone_disables_and_later_events_are_kept_to_be_replayed(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url())
    receiver.script = [status(410)]
    history = History().create().rename("n")
    async with open_relay():
        await publish(history.messages[:1])
        (delivery,) = await admin.until(listener, DeliveryStatus.DEAD)
        assert delivery["reason"] == "gone"
        await admin.until_operational_events({"listener.disabled", "delivery.dead"})
        current = await admin.current(listener)
        assert (current.status, current.problem) == (ListenerStatus.DISABLED, "it answered 410 Gone")

        await publish(history.messages[1:])
        (kept,) = await admin.until(listener, DeliveryStatus.CANCELLED)
        assert kept["reason"] == "listener-disabled"
        assert len(receiver.requests) == 1

        resumed = await admin.listeners.resume(SITE, listener.id)
        assert resumed is not None
        await admin.log.replay(resumed, Range())
        await admin.until(listener, DeliveryStatus.DELIVERED, 2)


async def test_failing_for_too_long_disables(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url(), retryDelays=[600])
    now = datetime.now(UTC)
    run = {"failingSince": now - timedelta(days=5), "failedAt": now - timedelta(days=1)}
    await admin.database[LISTENERS].update_one({"_id": listener.id}, {"$set": run})
    receiver.usual = status(500)
    async with open_relay():
        await publish(History().create().messages)
        (delivery,) = await admin.until(listener, DeliveryStatus.CANCELLED)
        assert delivery["failures"] == 1
        (event,) = await admin.until_operational_events({"listener.disabled"})
    assert event["listenerId"] == listener.id
    assert (await admin.current(listener)).status is ListenerStatus.DISABLED


async def test_two_failures_far_apart_do_not_disable(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    receiver.usual = status(503)
    async with open_relay(webhooks_disable_after=2):
        listener = await admin.subscribe(receiver.url(), retryDelays=[])
        await publish(History().create().messages)
        await admin.until(listener, DeliveryStatus.DEAD)
        # The stored run, as if nothing had been sent in between.
        long_ago = datetime.now(UTC) - timedelta(seconds=30)
        run = {"failingSince": long_ago, "failedAt": long_ago}
        await admin.database[LISTENERS].update_one({"_id": listener.id}, {"$set": run})
        await admin.listeners.change(SITE, listener.id, ListenerChange(description="loaded again"))
        await publish(History().create().messages)
        await admin.until(listener, DeliveryStatus.DEAD, 2)
        await eventually(lambda: has_started_over(admin, listener, long_ago), "the run starts over")
        assert (await admin.current(listener)).status is ListenerStatus.ACTIVE


async def has_started_over(admin: Admin, listener: Listener, before: datetime) -> bool:
    since = (await admin.current(listener)).failing_since
    return since is not None and since > before + timedelta(seconds=1)


async def test_a_success_ends_failing(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url())
    now = datetime.now(UTC)
    run = {"failingSince": now - timedelta(days=9), "failedAt": now}
    await admin.database[LISTENERS].update_one({"_id": listener.id}, {"$set": run})
    async with open_relay():
        await publish(History().create().messages)

        async def has_recovered() -> bool:
            return (await admin.current(listener)).failing_since is None

        await eventually(has_recovered, "the run has ended")
