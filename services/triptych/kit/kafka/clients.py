"""Makes Kafka clients with safe settings: idempotent producers, and no topics created by accident."""

from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from triptych.kit.failures import StartRefused
from triptych.kit.kafka import dead_connections, fast_gzip, silent_brokers
from triptych.kit.kafka.publishing.metadata_pace import pace_updates
from triptych.kit.kafka.reading.reader import METADATA_MAX_AGE_MS, Reader
from triptych.kit.kafka.refusals import starting
from triptych.kit.kafka.security import connection_options
from triptych.kit.process.settings import KitSettings

# Batches larger than aiokafka's 16 kB save most of the cost of a record: one request for hundreds (measured).
BATCH_BYTES = 512 * 1024
# A broker that does not answer a request within this time counts as gone, and others are asked. The pauses add up: a
# write over HTTP goes through several clients. Sending again is harmless, because producers are idempotent.
REQUEST_TIMEOUT_MS = 4_000

fast_gzip.install()
dead_connections.install()
silent_brokers.install()


def make_producer(settings: KitSettings, *, linger_ms: int = 0) -> AIOKafkaProducer:
    """An idempotent producer (acks from all in-sync replicas). Not started."""
    producer = AIOKafkaProducer(
        **connection_options(settings),
        enable_idempotence=True,
        linger_ms=linger_ms,
        max_batch_size=BATCH_BYTES,
        compression_type=None if settings.compression == "none" else settings.compression,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        client_id="triptych",
    )
    pace_updates(producer.client)
    return producer


def make_reader(settings: KitSettings, **options: Any) -> Reader:
    """A consumer outside any group, which commits nothing. Not started."""
    return Reader(
        **connection_options(settings),
        group_id=None,
        enable_auto_commit=False,
        client_id="triptych",
        **{"request_timeout_ms": REQUEST_TIMEOUT_MS, **options},
    )


async def start_client(client: AIOKafkaProducer | AIOKafkaConsumer, settings: KitSettings) -> None:
    """Start a client.

    Raises:
        NotYetAvailable: no broker answers.
        StartRefused: the broker refuses the connection permanently.
    """
    try:
        async with starting(settings):
            await client.start()
    except StartRefused:
        await client.stop()
        raise
