"""Follows topics from their end, outside any consumer group: what this process must hear, every process hears."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer

from services.kit.brokers import make_reader, start_client
from services.kit.settings import KitSettings


@asynccontextmanager
async def tail(
    settings: KitSettings, topics: Sequence[str], *, max_wait_ms: int = 500, min_bytes: int = 1
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that hears everything published to `topics` after this has been entered.

    Args:
        settings: where Kafka is.
        topics: to follow.
        max_wait_ms: how long the broker lets one fetch wait.
        min_bytes: how much it lets come together meanwhile before it answers; with 1, each record at once.

    Raises:
        StartRefused: no broker answers.
    """
    consumer = make_reader(
        settings, auto_offset_reset="latest", fetch_max_wait_ms=max_wait_ms, fetch_min_bytes=min_bytes
    )
    consumer.subscribe(topics=list(topics))
    await start_client(consumer, settings)
    try:
        # Positions are looked up lazily; a record published before the look-up would be missed.
        await consumer.seek_to_end()
        yield consumer
    finally:
        await consumer.stop()
