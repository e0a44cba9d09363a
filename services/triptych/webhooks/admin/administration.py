"""What administrators work with, over HTTP and on the command line: listeners, deliveries, operational events."""

from dataclasses import dataclass
from functools import partial

from triptych.contract.topics import Topics
from triptych.kit.mongo.driver import Database
from triptych.webhooks.admin.beginnings import read_end_offsets
from triptych.webhooks.store.listeners import ListenerRepository
from triptych.webhooks.store.operational_events import OperationalEvents
from triptych.webhooks.store.resending import DeliveryLog
from triptych.webhooks.store.sealing import make_sealer, require_same_key
from triptych.webhooks.store.settings import ListenerSettings


@dataclass(frozen=True, slots=True)
class Administration:
    """The three collections; every query of theirs names a site."""

    listeners: ListenerRepository
    deliveries: DeliveryLog
    operations: OperationalEvents


async def open_administration(database: Database, settings: ListenerSettings) -> Administration:
    """The administration of this installation; its indexes must exist.

    Raises:
        StartRefused: the key of the secrets cannot be used, or is not the one they are encrypted under.
    """
    sealer = make_sealer(settings)
    await require_same_key(database, sealer)
    retention = settings.webhooks_retention
    ends = partial(read_end_offsets, settings, Topics(settings.topic_prefix).events)
    listeners = ListenerRepository(database, sealer, retention, ends=ends)
    return Administration(listeners, DeliveryLog(database), OperationalEvents(database, retention))
