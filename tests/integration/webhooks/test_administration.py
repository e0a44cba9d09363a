"""Tests the work of administrators (pause, delete, rotate, resend, replay), and how the relay disables listeners."""

import base64
import hmac
from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import jwt
import pytest

from tests.support.histories import EPOCH, History
from tests.support.kafka import Publish
from tests.support.receiver import Received, Receiver, status
from tests.support.relay import ALL_TYPES, SITE, Admin, OpenRelay
from tests.support.waiting import eventually
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.registration import ListenerChange, NewListener
from triptych.webhooks.store.delivery_documents import DeliveryStatus
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus
from triptych.webhooks.store.listeners import LISTENERS, SIGNING_KEYS
from triptych.webhooks.store.resending import Range


def signed_with(request: Received, secret: str) -> bool:
    """Whether one of a request's signatures was made with this secret."""
    head = f"{request.id}.{request.headers['webhook-timestamp']}.".encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, head + request.body, sha256).digest()).decode()
    return expected in request.headers["webhook-signature"].split(" ")


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


async def test_rotation_signs_with_both_secrets_for_a_while(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    new = NewListener.model_validate({"url": receiver.url(), "eventTypes": ALL_TYPES})
    created = await admin.listeners.create(SITE, new)
    rotated = await admin.listeners.rotate(SITE, created.listener.id, timedelta(hours=1))
    assert rotated is not None
    assert created.secret is not None
    assert rotated.secret is not None
    async with open_relay():
        await publish(History().create().messages)
        (request,) = await receiver.until(1)
        assert signed_with(request, created.secret)
        assert signed_with(request, rotated.secret)
        last = await admin.listeners.rotate(SITE, created.listener.id, timedelta(0))
        assert last is not None
        assert last.secret is not None
        await publish(History().create().messages)
        _, request = await receiver.until(2)
        assert signed_with(request, last.secret)
        assert not signed_with(request, rotated.secret)
    stored = repr(await admin.database[SIGNING_KEYS].find({}).to_list(None))
    assert created.secret.removeprefix("whsec_") not in stored


async def test_tokens_are_signed_with_the_old_key_until_the_overlap_ends(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    new = NewListener.model_validate({"url": receiver.url(), "eventTypes": ALL_TYPES, "format": "wix-jwt"})
    first = await admin.listeners.create(SITE, new)
    second = await admin.listeners.create(SITE, new)
    # The site has one pair. Its private half is never shown.
    assert first.secret is second.secret is None
    assert first.public_key == second.public_key
    assert first.public_key is not None
    rotated = await admin.listeners.rotate(SITE, first.listener.id, timedelta(hours=1))
    assert rotated is not None
    assert rotated.public_key is not None
    await admin.listeners.delete(SITE, second.listener.id)

    def verifies(request: Received, pem: str) -> bool:
        try:
            jwt.decode(request.body, pem, algorithms=["RS256"])
        except jwt.InvalidSignatureError:
            return False
        return True

    async with open_relay():
        await publish(History().create().messages)
        (request,) = await receiver.until(1)
        assert verifies(request, first.public_key)
        await admin.listeners.rotate(SITE, first.listener.id, timedelta(0))
        newest = await admin.listeners.public_key(SITE, (await admin.current(first.listener)).keys[0].key_id)
        assert newest is not None
        await publish(History().create().messages)
        _, request = await receiver.until(2)
        assert verifies(request, newest)
        assert not verifies(request, first.public_key)
    assert jwt.decode(request.body, newest, algorithms=["RS256"])["exp"] > datetime.now(UTC).timestamp() + 80 * 3_600


async def test_pairs_that_an_earlier_version_has_shown_are_rotated(admin: Admin) -> None:
    fields = {"url": "https://shop.example/", "eventTypes": ALL_TYPES}

    async def create(dialect: Format, site: str = SITE) -> Listener:
        new = NewListener.model_validate({**fields, "format": dialect.value})
        return (await admin.listeners.create(site, new)).listener

    shown = [await create(dialect) for dialect in (Format.WIX_JWT, Format.WIX_JWT, Format.STANDARD_ED25519)]
    shared = await create(Format.STANDARD_HMAC)
    elsewhere = await create(Format.STANDARD_ED25519, "elsewhere")
    # The documents of earlier versions.
    await admin.database[SIGNING_KEYS].update_many({}, {"$unset": {"isPrivate": 1}})
    hour = timedelta(hours=1)
    rotated = [created async for created in admin.listeners.rotate_shown(hour, SITE)]
    assert {created.listener.id for created in rotated} == {listener.id for listener in shown}
    assert all(created.secret is None and created.public_key for created in rotated)
    assert len({created.listener.keys[0].key_id for created in rotated}) == 2
    assert all(len(created.listener.keys) == 2 for created in rotated)
    assert (await admin.current(shared)).keys == shared.keys
    everywhere = [created.listener.id async for created in admin.listeners.rotate_shown(hour)]
    assert everywhere == [elsewhere.id]
    assert [created async for created in admin.listeners.rotate_shown(hour)] == []


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
