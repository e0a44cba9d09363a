"""A relay reports events that expired while it was stopped, and a listener gets no event older than itself."""

from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.support.histories import History
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Publish, expire_records
from tests.support.receiver import Receiver
from tests.support.relay import ALL_TYPES, SITE, Admin, OpenRelay, relay_settings
from triptych.webhooks.admin.administration import open_administration
from triptych.webhooks.model.registration import NewListener
from triptych.webhooks.store.delivery_documents import DeliveryStatus


def messages(count: int) -> Any:
    return [message for _ in range(count) for message in History().create().messages]


async def test_events_that_expired_while_it_was_stopped_are_reported(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, installation: Installation
) -> None:
    listener = await admin.subscribe(receiver.url())
    async with open_relay():
        await publish(messages(30))  # all partitions
        await admin.until(listener, DeliveryStatus.DELIVERED, 30)
    await publish(messages(30))
    await expire_records(installation.addresses.kafka_bootstrap, installation.topics.events, PARTITIONS)
    await publish(messages(1))
    async with open_relay() as app:
        await admin.until(listener, DeliveryStatus.DELIVERED, 31)
        reported = await admin.until_operational_events({"events.expired"})
        assert {event["listenerId"] for event in reported} == {listener.id}
        assert all("have expired before their deliveries were planned" in event["text"] for event in reported)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://relay") as client:
            ready = (await client.get("/health/ready")).json()
            assert "have expired" in ready["details"]["losses"]
            assert "triptych_webhook_expired_events_total" in (await client.get("/metrics")).text


async def test_a_listener_gets_nothing_that_was_published_before_it(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, installation: Installation
) -> None:
    earlier = await admin.subscribe(receiver.url("/earlier"))
    before, after = messages(20), messages(20)
    await publish(before)
    administration = await open_administration(installation.database, relay_settings(installation))
    sent = {"url": receiver.url("/later"), "eventTypes": ALL_TYPES}
    later = (await administration.listeners.create(SITE, NewListener.model_validate(sent))).listener
    await publish(after)
    async with open_relay():
        await admin.until(earlier, DeliveryStatus.DELIVERED, 40)
        await admin.until(later, DeliveryStatus.DELIVERED, 20)
    await lose_offsets(installation)
    async with open_relay():
        await publish(messages(1))
        await admin.until(later, DeliveryStatus.DELIVERED, 21)
    ids = {dict(message.headers)["ce_id"].decode() for message in after}
    assert len(ids & {delivery["eventId"] for delivery in await admin.deliveries(later)}) == 20
    assert len(await admin.deliveries(later)) == 21


async def lose_offsets(installation: Installation) -> None:
    """Reset the relay's group to the beginning, as if it had never committed."""
    group = f"{installation.topics.prefix}webhooks.v1"
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.addresses.kafka_bootstrap, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        offsets = {TopicPartition(installation.topics.events, partition): 0 for partition in range(PARTITIONS)}
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()
