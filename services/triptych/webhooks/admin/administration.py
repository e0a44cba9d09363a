"""Opens the listeners, deliveries, operational events and health for the gateway and the command line."""

from collections.abc import Mapping
from dataclasses import dataclass

from triptych.contract.topics import Topics
from triptych.kit.kafka.reading.offsets import TopicOffsets
from triptych.kit.mongo.driver import Database
from triptych.webhooks.store.health import HealthReader
from triptych.webhooks.store.listeners import ListenerRepository
from triptych.webhooks.store.operational_events import OperationalEvents
from triptych.webhooks.store.resending import DeliveryLog
from triptych.webhooks.store.sealing import make_sealer, require_same_key
from triptych.webhooks.store.settings import ListenerSettings


@dataclass(frozen=True, slots=True)
class Administration:
    """Listeners, deliveries and operational events. Every query names a site."""

    listeners: ListenerRepository
    deliveries: DeliveryLog
    operational_events: OperationalEvents
    health: HealthReader


async def open_administration(database: Database, settings: ListenerSettings) -> Administration:
    """The administration of this installation. The indexes must exist.

    Raises:
        StartRefused: the secrets key is unusable, or the stored secrets are encrypted under another key.
    """
    sealer = make_sealer(settings)
    await require_same_key(database, sealer)
    retention = settings.webhooks_retention

    async def end_offsets() -> Mapping[int, int]:
        async with TopicOffsets(settings, Topics(settings.topic_prefix).events) as offsets:
            return await offsets.all_ends()

    listeners = ListenerRepository(database, sealer, retention, end_offsets=end_offsets)
    return Administration(
        listeners, DeliveryLog(database), OperationalEvents(database, retention), HealthReader(database)
    )
