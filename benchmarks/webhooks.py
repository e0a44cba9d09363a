"""Measures deliveries to listeners: from events on the topic to the last response."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import httpx

from benchmarks.process import peak_rss_mib
from benchmarks.scenario import Figures, Round, RoundFailed, Scenario
from triptych.contract.codec.envelope import Message, encode_event
from triptych.contract.codec.events import gallery_created
from triptych.devstack.children import Child
from triptych.devstack.ports import free_ports
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.mongo.driver import Database
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.app import INDEXES
from triptych.webhooks.model.registration import NewListener
from triptych.webhooks.store.delivery_documents import DELIVERIES, EVENTS, new_delivery
from triptych.webhooks.store.listeners import ListenerRepository
from triptych.webhooks.store.sealing import make_sealer
from triptych.webhooks.store.settings import ListenerSettings

DEADLINE_SECONDS = 180.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.2
INSERTED_AT_ONCE = 5_000
EVENT_TYPE = "wix.pro_gallery.gallery_v2_created"

Counts: TypeAlias = dict[str, float]
"""What the receiver has counted: see `benchmarks.baselines.webhooks_receiver.Counts`."""


def events_of(count: int) -> list[dict[str, Any]]:
    """Events of `count` galleries. Each event has about 700 bytes, like the event of an item."""
    made = []
    for _ in range(count):
        gallery_id = str(uuid.uuid4())
        gallery = {"id": gallery_id, "name": "n" * 300, "sortOrder": 1, "createdDate": "2026-01-01T00:00:00.000Z"}
        made.append(gallery_created(str(uuid.uuid4()), gallery_id, 1, datetime.now(UTC), gallery))
    return made


async def subscribe(of_round: Round, port: int, count: int, dialect: str) -> None:
    """Register listeners at this port, each with a path of its own."""
    await subscribe_in(of_round.database, port, count, dialect)


async def subscribe_in(database: Database, port: int, count: int, dialect: str) -> None:
    """Register listeners at this port in a database."""
    await ensure_indexes(database, INDEXES)
    listeners = ListenerRepository(database, make_sealer(ListenerSettings(local=True)), timedelta(days=30))
    for number in range(count):
        url = f"http://127.0.0.1:{port}/{number}"
        new = NewListener.model_validate(
            {"url": url, "eventTypes": [EVENT_TYPE], "format": dialect, "timeoutSeconds": 30}
        )
        await listeners.create("default", new)


async def product(of_round: Round, listeners: int, events: int, dialect: str) -> Figures:
    """The relay, started on a topic full of events."""
    (port,) = free_ports(1)
    await subscribe(of_round, port, listeners, dialect)
    await _publish(of_round, events)
    fields = {"webhooks_port": 0, "local": True, "webhooks_allowed_networks": "127.0.0.0/8"}
    return await _measure(of_round, port, listeners * events, "triptych.webhooks", **fields)


async def floor(of_round: Round, listeners: int, events: int, dialect: str) -> Figures:
    """The loop of `benchmarks.baselines.webhooks_floor`, started on the same topic."""
    (port,) = free_ports(1)
    await ensure_indexes(of_round.database, INDEXES)
    await _publish(of_round, events)
    arguments = (str(port), str(listeners), dialect)
    return await _measure(of_round, port, listeners * events, "benchmarks.baselines.webhooks_floor", *arguments)


async def _publish(of_round: Round, events: int) -> None:
    publisher = Publisher(lambda: make_producer(of_round.settings))
    try:
        messages = [message_of(event) for event in events_of(events)]
        await publisher.publish([OutgoingRecord(of_round.topics.events, m.key, m.value, m.headers) for m in messages])
    finally:
        await publisher.stop()


async def backlog(of_round: Round, due: int, sent: int) -> Figures:
    """The relay with `due` due deliveries, until `sent` of them are received."""
    (port,) = free_ports(1)
    await subscribe(of_round, port, 1, "standard-hmac")
    (listener,) = await ListenerRepository(
        of_round.database, make_sealer(ListenerSettings(local=True)), timedelta(days=30)
    ).list("default", 1)
    (event,) = events_of(1)
    now = datetime.now(UTC)
    stored = {
        "_id": event["id"],
        "siteId": "default",
        "eventType": EVENT_TYPE,
        "galleryId": event["entityId"],
        "sequence": 1,
        "occurredAt": now,
    }
    await of_round.database[EVENTS].insert_one({**stored, "value": message_of(event).value})
    for start in range(0, due, INSERTED_AT_ONCE):
        count = min(INSERTED_AT_ONCE, due - start)
        rows = [new_delivery(listener, stored, now, manual=True) for _ in range(count)]
        await of_round.database[DELIVERIES].insert_many(rows, ordered=False)
    fields = {"webhooks_port": 0, "local": True, "webhooks_allowed_networks": "127.0.0.0/8"}
    async with running_receiver(of_round, port) as receiver:
        relay = of_round.start("triptych.webhooks", **fields)
        meter = of_round.meter([relay], [receiver])
        try:
            before, usage = await _received(port, 1, relay), meter.read()
            counts = await _received(port, sent, relay)
            used = meter.since(usage, _newly(before, counts))
            memory = peak_rss_mib(relay.pid)
        finally:
            await asyncio.to_thread(relay.stop, STOP_SECONDS)
    return {"deliveries_per_second": counts["total"] / counts["seconds"], **used, "peak_rss_mib": memory}


async def _measure(of_round: Round, port: int, expected: int, module: str, *args: str, **fields: object) -> Figures:
    """Run a sender until all deliveries are received and recorded. Processor time is counted from the first one on."""
    async with running_receiver(of_round, port) as receiver:
        sender = of_round.start(module, *args, **fields)
        meter = of_round.meter([sender], [receiver])
        try:
            before, usage = await _received(port, 1, sender), meter.read()
            counts = await _received(port, expected, sender)
            await _recorded(of_round, expected)
            used = meter.since(usage, _newly(before, counts))
            memory = peak_rss_mib(sender.pid)
        finally:
            await asyncio.to_thread(sender.stop, STOP_SECONDS)
        counts = await _counts(port)
    if not counts["total"] == counts["distinct"] == expected:
        raise RoundFailed(f"{expected} deliveries expected, received {counts}")
    return {"deliveries_per_second": expected / counts["seconds"], **used, "peak_rss_mib": memory}


async def _recorded(of_round: Round, expected: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while (done := await of_round.database[DELIVERIES].count_documents({"status": "delivered"})) < expected:
        if time.monotonic() > deadline:
            raise RoundFailed(f"{done} of {expected} deliveries are recorded as delivered")
        await asyncio.sleep(POLL_SECONDS)


def _newly(before: Counts, after: Counts) -> int:
    """The number of deliveries between two counts. Raises RoundFailed if there was none."""
    if after["total"] <= before["total"]:
        raise RoundFailed("all deliveries came between two polls: too few to measure their cost")
    return int(after["total"] - before["total"])


@asynccontextmanager
async def running_receiver(of_round: Round, port: int) -> AsyncIterator[Child]:
    """Run `benchmarks.baselines.webhooks_receiver` on this port until the block ends."""
    receiver = of_round.start("benchmarks.baselines.webhooks_receiver", str(port))
    try:
        await _counts(port)
        yield receiver
    finally:
        await asyncio.to_thread(receiver.stop, STOP_SECONDS)


async def _received(port: int, expected: int, sender: Child) -> Counts:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        counts = await _counts(port)
        if counts["total"] >= expected:
            return counts
        if sender.poll() is not None or time.monotonic() > deadline:
            raise RoundFailed(f"{counts} of {expected}.\n{sender.log.read_text(errors='replace')[-3_000:]}")
        await asyncio.sleep(POLL_SECONDS)


async def _counts(port: int) -> Counts:
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        try:
            async with httpx.AsyncClient() as client:
                counts: Counts = (await client.get(f"http://127.0.0.1:{port}/")).json()
                return counts
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise RoundFailed("the receiver does not respond") from None
            await asyncio.sleep(POLL_SECONDS)


def message_of(event: dict[str, Any]) -> Message:
    """An event as it is published."""
    return encode_event(event, site_id="default", correlation_id="c", causation_id="c", traceparent=None)


def scenario(listeners: int, events: int, dialect: str) -> Scenario:
    """The scenario of events to a number of listeners in one dialect."""

    async def play_product(of_round: Round) -> Figures:
        return await product(of_round, listeners, events, dialect)

    async def play_floor(of_round: Round) -> Figures:
        return await floor(of_round, listeners, events, dialect)

    return Scenario(
        name=f"webhooks-{dialect}-{listeners}",
        description=f"{events:,} waiting events to {listeners} listener(s) on loopback, {dialect}, to the last answer",
        variants={"product": play_product, "floor": play_floor},
    )
