"""An ordered listener gets the events of each gallery strictly in sequence, and galleries do not delay each other."""

import json

from tests.support.histories import History
from tests.support.kafka import Publish
from tests.support.receiver import Received, Receiver, status
from tests.support.relay import Admin, OpenRelay
from triptych.webhooks.store.delivery_documents import DELIVERIES, DeliveryStatus


def sequences(requests: list[Received]) -> list[tuple[str, int]]:
    """Gallery and sequence of each request."""
    wires = [json.loads(request.body)["data"] for request in requests]
    return [(wire["entityId"], int(wire["entityEventSequence"])) for wire in wires]


async def test_a_later_event_waits_while_an_earlier_one_is_retried(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url(), ordered=True, retryDelays=[1.5])
    slow, fast = History().create(), History().create()
    for number in range(4):
        slow.rename(f"{number}")
        fast.rename(f"{number}")
    receiver.script = [status(500)]
    async with open_relay():
        await publish(slow.messages[:1])
        await receiver.until(1)
        await publish([*slow.messages[1:], *fast.messages])
        await admin.until(listener, DeliveryStatus.DELIVERED, 10)
    seen = sequences(receiver.requests)
    assert [number for gallery, number in seen if gallery == slow.gallery_id] == [1, 1, 2, 3, 4, 5]
    assert [number for gallery, number in seen if gallery == fast.gallery_id] == [1, 2, 3, 4, 5]
    # The other gallery was done before the retry of the slow one.
    assert seen.index((fast.gallery_id, 5)) < seen.index((slow.gallery_id, 2))


async def test_a_dead_delivery_promotes_the_next_one(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url(), ordered=True, retryDelays=[0.05])
    history = History().create().rename("a").rename("b")
    receiver.script = [status(500), status(500)]
    async with open_relay():
        await publish(history.messages)
        await admin.until(listener, DeliveryStatus.DELIVERED, 2)
        assert len(await admin.deliveries(listener, DeliveryStatus.DEAD)) == 1
    assert [number for _, number in sequences(receiver.requests)] == [1, 1, 2, 3]


async def test_many_galleries_each_in_order(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url(), ordered=True)
    histories = [History().create() for _ in range(20)]
    for number in range(9):
        for history in histories:
            history.rename(f"{number}")
    async with open_relay():
        await publish([history.messages[number] for number in range(10) for history in histories])
        await admin.until(listener, DeliveryStatus.DELIVERED, 200, deadline_seconds=40)
    seen = sequences(receiver.requests)
    for history in histories:
        assert [number for gallery, number in seen if gallery == history.gallery_id] == list(range(1, 11))


async def test_deliveries_that_a_crash_left_unpromoted_are_promoted(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url(), ordered=True)
    await admin.listeners.pause("default", listener.id)
    history = History().create().rename("a")
    async with open_relay():
        await publish(history.messages)

        await admin.until(listener, DeliveryStatus.PENDING)
    # As if the process had died between inserting and promoting.
    await admin.database[DELIVERIES].update_many({}, {"$set": {"status": "waiting"}})
    await admin.listeners.resume("default", listener.id)
    async with open_relay():
        await admin.until(listener, DeliveryStatus.DELIVERED, 2)
    assert [number for _, number in sequences(receiver.requests)] == [1, 2]
