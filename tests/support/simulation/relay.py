"""Runs the relay's own code in a simulated process, with receivers that fail and stall; and judges deliveries."""

import asyncio
import contextlib
import functools
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

from tests.support.chaos.history import Event, Violation
from tests.support.chaos.judging.events import firsts
from tests.support.simulation.kafka.broker import Broker
from tests.support.simulation.kafka.members import SubscribingBroker
from tests.support.simulation.kafka.offsets import Offsets
from tests.support.simulation.kafka.producer import Producer
from tests.support.simulation.loop import OUTSIDE, SimulatedLoop, current_process
from tests.support.simulation.mongo.client import Client
from tests.support.simulation.mongo.server import Server
from triptych.contract.codec.events import EventType
from triptych.contract.topics import EVENTS, Topics
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.layout import LiveCounts
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.process.supervision import SUPERVISOR
from triptych.kit.startup import layout_following
from triptych.kit.startup.layout_following import LayoutOfConsumer
from triptych.kit.startup.layout_watch import LayoutWatch
from triptych.webhooks.model.registration import NewListener
from triptych.webhooks.relay.claiming import DeliveryClaimer
from triptych.webhooks.relay.expired_events import ExpiryReporter
from triptych.webhooks.relay.handler import DeliveryPlanner
from triptych.webhooks.relay.listener_cache import ListenerCache
from triptych.webhooks.relay.listener_health import ListenerHealth
from triptych.webhooks.relay.outcome_writer import OutcomeWriter
from triptych.webhooks.relay.sender import DeliverySender, Signer
from triptych.webhooks.relay.shards import Shards
from triptych.webhooks.relay.worker import Worker
from triptych.webhooks.settings import WebhookSettings
from triptych.webhooks.store.deliveries import DeliveryRepository
from triptych.webhooks.store.delivery_documents import DELIVERIES, OPEN_STATUSES, DeliveryStatus
from triptych.webhooks.store.listener_documents import Listener
from triptych.webhooks.store.listeners import ListenerRepository
from triptych.webhooks.store.operational_events import OperationalEvents
from triptych.webhooks.store.sealing import make_sealer

SITE = "default"
RETENTION = timedelta(days=30)
OPEN = {"status": {"$in": list(OPEN_STATUSES)}}
SETTINGS: Mapping[str, Any] = {
    "topic_prefix": "sim.",
    "local": True,
    "webhooks_lease": 36,
    "webhooks_shards": 4,
    "webhooks_minimum_wait": 1,
    "webhooks_listener_concurrency": 4,
    "webhooks_batch_size": 20,
}
LISTENERS = {"https://plain.example": {}, "https://ordered.example": {"ordered": True}}
"""What each listener asks for, by its address."""
ENDS = {DeliveryStatus.DELIVERED.value, DeliveryStatus.DEAD.value}


@functools.cache
def webhook_settings() -> WebhookSettings:
    """The settings of the relay."""
    return WebhookSettings.model_validate(SETTINGS)


class Arrival(NamedTuple):
    """A request to a receiver: its time, its event, and whether the receiver answered with success."""

    at: float
    event: str
    has_succeeded: bool


class Receivers:
    """The receivers of all listeners."""

    def __init__(self, loop: SimulatedLoop, chance: random.Random) -> None:
        self._loop = loop
        self._chance = chance
        self.failing = 0.1
        """The fraction of requests that fail."""
        self.arrivals: dict[str, list[Arrival]] = defaultdict(list)

    async def post(self, url: str, headers: Mapping[str, str], _body: bytes, timeout: float) -> Any:
        """Instead of the relay's client. Raises OSError or TimeoutError."""
        process = current_process()
        if process is not None and process.is_dead:
            raise asyncio.CancelledError
        answer: asyncio.Future[int] = self._loop.create_future()
        status = 200 if self._chance.random() >= self.failing else self._chance.choice([0, 500, 503, -1])

        def give() -> None:
            if not answer.done() and status >= 0:
                answer.set_result(status)

        def arrive() -> None:
            self.arrivals[url].append(Arrival(self._loop.time(), headers["webhook-id"], status == 200))
            self._loop.call_later(self._chance.random() * 0.02, give, context=OUTSIDE)

        self._loop.call_later(self._chance.random() * 0.01, arrive, context=OUTSIDE)
        async with asyncio.timeout(timeout):
            if not await answer:
                raise ConnectionResetError
        return SimpleNamespace(status=status, retry_after=None, body=b"")


async def create_listeners(server: Server) -> None:
    """Create the listeners, before anything else happens."""
    database: Any = Client(server).database()
    repository = ListenerRepository(database, make_sealer(webhook_settings()), RETENTION)
    for url, fields in LISTENERS.items():
        sent = {
            "url": url,
            "eventTypes": [one.value for one in EventType],
            "retryDelays": [0.5, 1.0, 2.0],
            "timeoutSeconds": 2,
            **fields,
        }
        await repository.create(SITE, NewListener.model_validate(sent))


async def run_relay(server: Server, broker: Broker, topics: Topics, receivers: Receivers, watch: LayoutWatch) -> None:
    """The relay, until cancelled; composed as `triptych.webhooks.app` composes it."""
    database: Any = Client(server).database()
    settings = webhook_settings()
    cache = ListenerCache(database, make_sealer(settings))
    shards = Shards(database, settings.webhooks_shards, settings.webhooks_shard_lease, time.monotonic)
    repository = DeliveryRepository(database, settings.webhooks_lease, RETENTION, shards.id)
    writer = OutcomeWriter(repository)
    operational = OperationalEvents(database, RETENTION)
    client: Any = receivers
    worker = Worker(
        settings,
        repository,
        DeliverySender(client, Signer(cache, time.time)),
        writer,
        ListenerHealth(repository, operational, settings.webhooks_disable_after),
        shards.owns,
    )
    claimer = DeliveryClaimer(settings, repository, cache, shards, worker, operational)
    publisher = Publisher(lambda: Producer(broker), partitions=watch.counts)
    letters = DeadLetterPublisher(publisher, topics.dead_letter)
    offsets: Any = Offsets(broker, topics.events, settings.webhooks_group)

    async def listeners() -> Iterable[Listener]:
        await claimer.refresh()
        return cache.listeners.values()

    expiry = ExpiryReporter(offsets, operational, listeners)
    planner = DeliveryPlanner(
        repository, cache, claimer, publisher, letters, expiry, settings.webhooks_lease, RETENTION
    )
    subscribing: Any = SubscribingBroker(broker)
    layout = LayoutOfConsumer(
        watch, LiveCounts((), watch.layout.partitions), topics.events, EVENTS, lambda: consumer.reader, holds_new=True
    )
    consumer = BatchConsumer(
        subscribing,
        topics.events,
        settings.webhooks_group,
        planner,
        letters,
        max_records=settings.webhooks_batch_size,
        gate=layout,
    )
    try:
        await shards.balance()
        async with SUPERVISOR.running("shards", shards.run), SUPERVISOR.running("claimer", claimer.run):
            await publisher.start()
            await subscribing.start()
            async with layout_following.following_layout(consumer, layout):
                await asyncio.get_running_loop().create_future()
    finally:
        await consumer.give_up()
        await subscribing.stop()
        with contextlib.suppress(Exception):
            await publisher.stop()


def check(server: Server, receivers: Receivers, events: list[Event]) -> Iterator[Violation]:
    """Each listener has one delivery of each event, which has ended; one with `ordered` got them in order (I6)."""
    storage = server.storage
    for _, listener in storage.find("listeners", {}):
        url = listener["url"]
        arrived = receivers.arrivals[url]
        first = {one.event: number for number, one in reversed(list(enumerate(arrived)))}
        succeeded = {one.event for one in arrived if one.has_succeeded}
        found: dict[str, list[Any]] = defaultdict(list)
        for _, delivery in storage.find(DELIVERIES, {"listenerId": listener["_id"]}):
            found[delivery["eventId"]].append(delivery)
        for gallery, some in firsts(events).items():
            order = [first[event.id] for event in some if event.id in first]
            if listener["ordered"] and order != sorted(order):
                yield Violation("I6", f"events arrived out of order at {url}:", gallery)
            for event in some:
                deliveries = found[event.id]
                statuses = [delivery["status"] for delivery in deliveries]
                if len(deliveries) != 1 or statuses[0] not in ENDS:
                    yield Violation("I6", f"deliveries {statuses} of {event.id} to {url}:", gallery, event.sequence)
                elif statuses[0] == DeliveryStatus.DELIVERED.value and event.id not in succeeded:
                    yield Violation("I6", f"{event.id} did not arrive at {url}:", gallery, event.sequence)
                elif statuses[0] == DeliveryStatus.DEAD.value and not _has_failed(deliveries[0]):
                    yield Violation("I6", f"{event.id} is dead without attempts:", gallery, event.sequence)


def _has_failed(delivery: Mapping[str, Any]) -> bool:
    return bool(delivery["failures"] and json.dumps(delivery["reason"]))
