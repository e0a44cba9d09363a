"""What tests of the webhook relay have in common: its settings, and the administration of listeners."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, TypeAlias

from tests.support.installation import Installation
from tests.support.waiting import eventually
from triptych.contract.codec.events import EventType
from triptych.kit.mongo.driver import Database, Document
from triptych.webhooks.model.registration import NewListener
from triptych.webhooks.settings import WebhookSettings
from triptych.webhooks.store.delivery_documents import DELIVERIES, DeliveryStatus
from triptych.webhooks.store.listener_documents import Listener
from triptych.webhooks.store.listeners import ListenerRepository
from triptych.webhooks.store.operational_events import OPERATIONAL_EVENTS
from triptych.webhooks.store.resending import DeliveryLog
from triptych.webhooks.store.sealing import Sealer

OpenRelay: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]


ALL_TYPES = [event_type.value for event_type in EventType]


SITE = "default"


RETENTION = timedelta(days=30)


def relay_settings(installation: Installation, **fields: object) -> WebhookSettings:
    """Settings of a relay that may deliver to this machine."""
    return installation.settings(
        WebhookSettings, **{"local": True, "webhooks_allowed_networks": "127.0.0.0/8", **fields}
    )


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
