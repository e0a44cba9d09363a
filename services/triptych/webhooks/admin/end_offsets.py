"""Reads the end offsets of the events topic, at which a new listener begins."""

import asyncio

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.reading.topic_offsets import TopicOffsets
from triptych.kit.process.settings import KitSettings

DEADLINE_SECONDS = 10.0


async def read_end_offsets(settings: KitSettings, topic: str) -> dict[int, int]:
    """The offset after the last record of each partition, by partition.

    Raises:
        TransientFailure: Kafka does not answer.
    """
    offsets = TopicOffsets(settings, topic)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await offsets.all_ends()
    except TimeoutError as error:
        raise TransientFailure(f"Kafka does not report the offsets of {topic} in time") from error
    finally:
        await offsets.stop()
