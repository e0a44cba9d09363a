"""Deliveries are sent again, and stored events replayed, when somebody asks for it."""

from collections import Counter
from datetime import timedelta

import pytest

from tests.support.histories import EPOCH, History
from tests.support.kafka import Publish
from tests.support.receiver import Receiver, status
from tests.support.relay import SITE, Admin, OpenRelay
from triptych.webhooks.store.delivery_documents import DeliveryStatus
from triptych.webhooks.store.resending import Range

pytestmark = pytest.mark.only_topics("events", "events.dead-letter")


async def test_each_resend_sends_and_is_marked(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url())
    async with open_relay():
        await publish(History().create().messages)
        (delivery,) = await admin.until(listener, DeliveryStatus.DELIVERED)
        for _ in range(3):
            await admin.log.resend(listener, delivery)
        await admin.until(listener, DeliveryStatus.DELIVERED, 4)
    assert Counter(request.id for request in receiver.requests) == {delivery["eventId"]: 4}
    manual = [row["manual"] for row in await admin.deliveries(listener)]
    assert manual == [False, True, True, True]


async def test_dead_deliveries_are_resent_once(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triptych.webhooks.store.resending.CHUNK", 4)
    listener = await admin.subscribe(receiver.url(), retryDelays=[])
    receiver.usual = status(500)
    async with open_relay():
        await publish([message for _ in range(10) for message in History().create().messages])
        await admin.until(listener, DeliveryStatus.DEAD, 10)
        receiver.usual = status(200)
        for queued in (10, 0):
            steps = [await admin.log.resend_dead(listener)]
            while steps[-1].cursor is not None:
                steps.append(await admin.log.resend_dead(listener, steps[-1].cursor))
            assert sum(step.queued for step in steps) == queued
            assert max(step.seen for step in steps) <= 4
        await admin.until(listener, DeliveryStatus.DELIVERED, 10)
    assert len(await admin.deliveries(listener, DeliveryStatus.DEAD)) == 10
    assert len(receiver.requests) == 20


async def test_replay_of_a_range_and_of_a_gallery(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triptych.webhooks.store.resending.CHUNK", 3)
    first = await admin.subscribe(receiver.url("/first"))
    one, two = History().create(), History().create()
    for number in range(4):  # one to five seconds after the epoch
        one.rename(f"{number}")
        two.rename(f"{number}")
    async with open_relay():
        await publish([*one.messages, *two.messages])
        await admin.until(first, DeliveryStatus.DELIVERED, 10)
        # A replay sends earlier events to a later listener too.
        late = await admin.subscribe(receiver.url("/late"), eventTypes=["wix.pro_gallery.gallery_v2_updated"])

        async def replay(which: Range) -> int:
            step = await admin.log.replay(late, which)
            queued = step.queued
            while step.cursor is not None:
                step = await admin.log.replay(late, which, step.cursor)
                queued += step.queued
            return queued

        assert await replay(Range(EPOCH + timedelta(seconds=3), EPOCH + timedelta(seconds=5))) == 4
        assert await replay(Range(gallery_id=one.gallery_id)) == 4
        assert await admin.log.count_events(SITE, Range(gallery_id=one.gallery_id)) == 5
        await admin.until(late, DeliveryStatus.DELIVERED, 8)
        with pytest.raises(ValueError, match="cursor"):
            await admin.log.replay(late, Range(), "nonsense")
    expected = Counter([one.events[2].id, one.events[3].id, two.events[2].id, two.events[3].id])
    expected.update(event.id for event in one.events[1:])
    assert Counter(request.id for request in receiver.at("/late")) == expected


async def test_an_event_no_longer_kept_cannot_be_resent(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url())
    async with open_relay():
        await publish(History().create().messages)
        (delivery,) = await admin.until(listener, DeliveryStatus.DELIVERED)
        assert delivery["expiresAt"] - delivery["endedAt"] == timedelta(days=30)
        await admin.database["webhook_events"].delete_many({})
        await admin.log.resend(listener, delivery)
        (dead,) = await admin.until(listener, DeliveryStatus.DEAD)
    assert dead["reason"] == "event-expired"
