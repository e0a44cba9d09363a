"""A listener receives each event that it asked for once, signed, and again until it accepts the delivery."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.support.commands import header
from tests.support.histories import History
from tests.support.installation import Installation
from tests.support.kafka import Publish, topic_reader
from tests.support.log_lines import logged
from tests.support.receiver import Behaviour, Receiver, drip, hang, open_receiver, reset, status
from tests.support.relay import SITE, Admin, OpenRelay
from triptych.contract.codec.envelope import Message
from triptych.webhooks.store.delivery_documents import DeliveryStatus

pytestmark = pytest.mark.only_topics("events", "events.dead-letter")


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_every_event_is_delivered_once(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, driver: str
) -> None:
    listener = await admin.subscribe(receiver.url())
    history = History().create()
    history.add_item(1)
    history.rename("n").delete()
    async with open_relay(mongo_driver=driver):
        await publish(history.messages)
        await admin.until(listener, DeliveryStatus.DELIVERED, 5)
    assert Counter(request.id for request in receiver.requests) == Counter(event.id for event in history.events)
    for request in receiver.requests:
        body = json.loads(request.body)
        wire = next(dict(wire) for wire in history.wire if wire["id"] == request.id)
        assert body == {"type": wire.pop("eventType"), "timestamp": wire["eventTime"], "data": wire}


@pytest.mark.parametrize("items", [1, 600])
async def test_n_deletions_are_n_deliveries(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, items: int
) -> None:
    deleted = "wix.pro_gallery.gallery_v2_gallery_item_deleted"
    listener = await admin.subscribe(receiver.url(), eventTypes=[deleted])
    history = History().create()
    for order in range(items):
        history.add_item(order)
    history.delete()
    async with open_relay():
        await publish(history.messages)
        await admin.until(listener, DeliveryStatus.DELIVERED, items)
    assert len(receiver.requests) == items
    assert len({request.id for request in receiver.requests}) == items
    assert len(await admin.deliveries(listener)) == items


async def test_only_what_was_asked_for(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    mine, other, foreign = History().create(), History().create(), History(site_id="other").create()
    mine.rename("n")
    await admin.subscribe(
        receiver.url("/one"), eventTypes=["wix.pro_gallery.gallery_v2_updated"], galleryIds=[mine.gallery_id]
    )
    all_of_site = await admin.subscribe(receiver.url("/all"))
    other.rename("n")
    async with open_relay():
        await publish([*foreign.messages, *other.messages, *mine.messages])
        await admin.until(all_of_site, DeliveryStatus.DELIVERED, 4)
    assert [request.id for request in receiver.at("/one")] == [mine.events[1].id]
    assert {request.id for request in receiver.at("/all")} == {event.id for event in (*mine.events, *other.events)}


FAILURES: dict[str, tuple[Behaviour, str | None, int | None]] = {
    "500": (status(500), None, 500),
    "404": (status(404), None, 404),
    "redirect": (status(302, Location="http://127.0.0.1:1/"), None, 302),
    "reset": (reset, "connection", None),
    "drip": (drip(500), None, 500),
}


async def test_a_failure_is_tried_again(open_relay: OpenRelay, admin: Admin, publish: Publish) -> None:
    async with AsyncExitStack() as stack:
        receivers = {name: await stack.enter_async_context(open_receiver()) for name in FAILURES}
        listeners = {
            name: await admin.subscribe(receiver.url(), timeoutSeconds=0.5) for name, receiver in receivers.items()
        }
        for name, (behaviour, _, _) in FAILURES.items():
            receivers[name].script = [behaviour]
        async with open_relay():
            await publish(History().create().messages)
            deliveries = {
                name: await admin.until(listener, DeliveryStatus.DELIVERED) for name, listener in listeners.items()
            }
    for name, (_, failure, code) in FAILURES.items():
        (delivery,) = deliveries[name]
        first, second = delivery["log"]
        assert (first["status"], first["failure"], second["status"]) == (code, failure, 200), name
        assert (delivery["attempts"], delivery["failures"]) == (2, 1), name
        # Signed anew under the same id.
        once, again = receivers[name].requests
        assert (once.id, once.body) == (again.id, again.body), name


async def test_a_hanging_listener_is_cut_off_and_waits_at_least_the_minimum(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url(), timeoutSeconds=0.3)
    receiver.script = [hang, status(429)]
    async with open_relay(webhooks_minimum_wait=0.5):
        await publish(History().create().messages)
        (delivery,) = await admin.until(listener, DeliveryStatus.DELIVERED)
    assert [(entry["status"], entry["failure"]) for entry in delivery["log"]] == [
        (None, "timeout"),
        (429, None),
        (200, None),
    ]
    first, second, third = (request.at for request in receiver.requests)
    assert second - first >= 0.3 + 0.5
    assert third - second >= 0.5


async def test_a_response_is_read_up_to_a_limit(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url())
    receiver.script = [status(200, b"x" * 10 * 1024 * 1024)]
    async with open_relay(webhooks_answer_bytes=100):
        await publish(History().create().messages)
        (delivery,) = await admin.until(listener, DeliveryStatus.DELIVERED)
    (entry,) = delivery["log"]
    assert bytes(entry["answer"]) == b"x" * 100
    assert entry["headers"]["webhook-id"] == receiver.requests[0].id


async def test_a_dripping_success_is_a_success(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url(), timeoutSeconds=0.5)
    receiver.script = [drip(200)]
    async with open_relay():
        await publish(History().create().messages)
        (delivery,) = await admin.until(listener, DeliveryStatus.DELIVERED)
    assert len(delivery["log"]) == len(receiver.requests) == 1


async def test_an_exhausted_delivery_is_dead_listed_and_reported(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    listener = await admin.subscribe(receiver.url())
    receiver.usual = status(503)
    history = History().create()
    async with open_relay():
        await publish(history.messages)
        (delivery,) = await admin.until(listener, DeliveryStatus.DEAD)
        assert (delivery["reason"], delivery["attempts"]) == ("exhausted", 3)
        assert len(receiver.requests) == 3
        (listed,) = (await admin.log.page(listener, DeliveryStatus.DEAD, 10)).deliveries
        assert listed["_id"] == delivery["_id"]
    assert (await admin.current(listener)).failing_since is not None
    events = await admin.database["operational_events"].find({"siteId": SITE}).to_list(None)
    assert [(event["kind"], event["count"]) for event in events] == [("delivery.dead", 1)]
    (line,) = logged(caplog.records, "deliveries are dead")
    assert (line["count"], line["kinds"], line["attempts"]) == (1, {"exhausted": 1}, 3)
    assert (line["site_id"], line["listener_id"]) == (SITE, listener.id)
    assert (line["delivery_id"], line["event_id"]) == (delivery["_id"], delivery["eventId"])


async def test_a_record_that_is_not_an_event_is_dead_lettered_and_its_neighbours_are_delivered(
    open_relay: OpenRelay,
    admin: Admin,
    publish: Publish,
    receiver: Receiver,
    installation: Installation,
) -> None:
    listener = await admin.subscribe(receiver.url())
    good = History().create().messages[0]
    bad = [
        Message(good.key, value, good.headers)
        for value in (b"{", json.dumps({**json.loads(good.value), "eventTime": "yesterday"}).encode())
    ]
    topic = installation.topics.dead_letter(installation.topics.events)
    async with open_relay(), topic_reader(installation.addresses.kafka_bootstrap, topic) as letters:
        await publish([*bad, good])
        await admin.until(listener, DeliveryStatus.DELIVERED)
        refused = await letters.read_count(2)
    assert {header(letter, "dead-letter-reason") for letter in refused} == {"NOT_JSON", "BAD_DATA"}
    assert len(receiver.requests) == 1


GARBAGE = {
    "no-http": b"\xff\xfe\xfd\r\n\r\n",
    "bad-status": b"HTTP/1.1 2000 \xff\xfe\r\nX: \xff\xfe\r\nContent-Length: nope\xff\r\n\r\n",
    "bad-bytes": b"HTTP/1.1 500 \xff\xfe\r\nX-\xff: \xff\r\n\r\n\xff",
    "endless-headers": b"HTTP/1.1 500 Oh\r\n" + b"X: y\r\n" * 200_000,
}


@asynccontextmanager
async def answering(garbage: bytes) -> AsyncIterator[str]:
    """The address of a server that answers every request with these bytes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(garbage)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def test_garbage_for_an_answer_is_a_failure_with_a_log(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    async with AsyncExitStack() as stack:
        urls = {name: await stack.enter_async_context(answering(garbage)) for name, garbage in GARBAGE.items()}
        listeners = {name: await admin.subscribe(url, retryDelays=[], timeoutSeconds=2) for name, url in urls.items()}
        good = await admin.subscribe(receiver.url())
        async with open_relay():
            await publish(History().create().messages)
            for name, listener in listeners.items():
                (delivery,) = await admin.until(listener, DeliveryStatus.DEAD)
                assert len(delivery["log"]) == 1, name
            await admin.until(good, DeliveryStatus.DELIVERED)
