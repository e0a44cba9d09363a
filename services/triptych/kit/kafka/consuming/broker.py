"""Makes FastStream's broker for the services that consume; what only reads or publishes does without FastStream."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from triptych.kit.kafka.clients import REQUEST_TIMEOUT_MS
from triptych.kit.kafka.consuming.member import GroupMember, Memberships
from triptych.kit.kafka.reading.reader import METADATA_MAX_AGE_MS
from triptych.kit.kafka.security import connection_options
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.stopping import BATCH


class _Broker(KafkaBroker):
    """FastStream's broker with our own consumer class, and connected as all other clients are."""

    security: Mapping[str, Any]
    memberships: Memberships | None

    async def _connect(self) -> Callable[..., AIOKafkaConsumer]:
        # FastStream's own objects for security pass on no provider of tokens.
        self._connection_kwargs = {**self._connection_kwargs, **self.security}
        made = await super()._connect()
        assert isinstance(made, partial)  # noqa: S101 - of aiokafka's consumer
        self.config.broker_config.builder = partial(GroupMember, memberships=self.memberships, **made.keywords)
        return self.config.broker_config.builder


def make_broker(settings: KitSettings, memberships: Memberships | None = None) -> KafkaBroker:
    """A FastStream broker for batch subscriptions. Publish with `triptych.kit.kafka.publishing.publisher` instead.

    Args:
        settings: of the process.
        memberships: in the group of the only subscription. Without them, a killed process blocks its successor until
            its session has run out.
    """
    broker = _Broker(
        settings.kafka_bootstrap,
        client_id="triptych",
        allow_auto_create_topics=False,
        consumer_only=True,  # a producer and a client for topics of its own would be connected, and never used
        graceful_timeout=BATCH,
        ack_policy=AckPolicy.MANUAL,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        logger=None,
        apply_types=False,  # dependency injection, which is not used, costs 0.3 ms for each single record (measured)
    )
    broker.security = connection_options(settings)
    broker.memberships = memberships
    return broker
