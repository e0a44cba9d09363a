"""Fixtures: a relay, a receiver, a publisher of events, and an administrator who reads deliveries."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.receiver import Receiver, open_receiver
from tests.support.waiting import eventually
from triptych.contract.codec.envelope import Message
from triptych.contract.codec.events import EventType
from triptych.kit.mongo.driver import Database, Document
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.app import compose
from triptych.webhooks.model.registration import NewListener
from triptych.webhooks.settings import WebhookSettings
from triptych.webhooks.store.delivery_documents import DELIVERIES, DeliveryStatus
from triptych.webhooks.store.listener_documents import Listener
from triptych.webhooks.store.listeners import ListenerRepository
from triptych.webhooks.store.operational_events import OPERATIONAL_EVENTS
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.resending import DeliveryLog
from triptych.webhooks.store.sealing import Sealer, make_sealer

Publish: TypeAlias = Callable[[Sequence[Message]], Coroutine[Any, Any, None]]
OpenRelay: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
ALL_TYPES = [event_type.value for event_type in EventType]
SITE = "default"
RETENTION = timedelta(days=30)


@pytest.fixture
async def publish(installation: Installation) -> AsyncIterator[Publish]:
    """Publishes messages to the events topic, in order."""
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:

        async def publish(messages: Sequence[Message]) -> None:
            for message in messages:
                await producer.send(
                    installation.topics.events, message.value, message.key, headers=list(message.headers)
                )
            await producer.flush()

        yield publish


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of deliveries."""
    async with open_receiver() as opened:
        yield opened


def relay_settings(installation: Installation, **fields: object) -> WebhookSettings:
    """Settings of a relay that may deliver to this machine."""
    return installation.settings(
        WebhookSettings, **{"local": True, "webhooks_allowed_networks": "127.0.0.0/8", **fields}
    )


@pytest.fixture
def open_relay(installation: Installation) -> OpenRelay:
    """Starts a relay with the given settings."""

    @asynccontextmanager
    async def start(**fields: object) -> AsyncIterator[Any]:
        async with compose(relay_settings(installation, **fields)) as app:
            yield app

    return start


class Admin:
    """Administers the listeners of one site, and reads their deliveries."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self.database = database
        self.sealer = sealer
        self.listeners = ListenerRepository(database, sealer, RETENTION)
        self.log = DeliveryLog(database)

    async def subscribe(self, url: str, **fields: object) -> Listener:
        """A new listener to all events with short retry delays, unless `fields` say otherwise."""
        sent = {"url": url, "eventTypes": ALL_TYPES, "retryDelays": [0.05, 0.05], **fields}
        return (await self.listeners.create(SITE, NewListener.model_validate(sent))).listener

    async def deliveries(self, listener: Listener, status: DeliveryStatus | None = None) -> list[Document]:
        """The deliveries of a listener with their logs, oldest first."""
        query: Document = {"listenerId": listener.id, **({} if status is None else {"status": status.value})}
        return await self.database[DELIVERIES].find(query).sort([("_id", 1)]).to_list(None)

    async def until(
        self, listener: Listener, status: DeliveryStatus, count: int = 1, *, deadline_seconds: float = 20.0
    ) -> list[Document]:
        """The deliveries with a status, once there are `count`."""

        query = {"listenerId": listener.id, "status": status.value}

        async def are_there() -> bool:
            return await self.database[DELIVERIES].count_documents(query, limit=count) == count

        await eventually(are_there, f"{count} {status} deliveries", deadline_seconds=deadline_seconds)
        return await self.deliveries(listener, status)

    async def until_operational_events(self, kinds: set[str]) -> list[Document]:
        """The operational events, once there is at least one of each of these kinds."""

        async def found_enough() -> list[Document] | None:
            found = await self.database[OPERATIONAL_EVENTS].find({}).to_list(None)
            return found if kinds <= {event["kind"] for event in found} else None

        return await eventually(found_enough, f"operational events {kinds}")

    async def current(self, listener: Listener) -> Listener:
        """The current listener."""
        found = await self.listeners.get(SITE, listener.id)
        assert found is not None
        return found


@pytest.fixture
async def admin(installation: Installation) -> Admin:
    """An administrator."""
    await ensure_indexes(installation.database, INDEXES)
    return Admin(installation.database, make_sealer(relay_settings(installation)))
