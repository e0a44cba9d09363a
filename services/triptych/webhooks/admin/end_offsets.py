"""Reads the end offsets of the events topic, at which a new listener begins."""

import asyncio

from aiokafka.errors import KafkaError

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_reader
from triptych.kit.process.settings import KitSettings

DEADLINE_SECONDS = 10.0


async def read_end_offsets(settings: KitSettings, topic: str) -> dict[int, int]:
    """The offset after the last record of each partition, by partition.

    Raises:
        TransientFailure: Kafka does not answer.
    """
    reader = make_reader(settings, auto_offset_reset="latest")
    reader.subscribe(topics=[topic])
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await reader.start()
            found = await reader.end_offsets(reader.assignment())
    except (KafkaError, TimeoutError) as error:
        raise TransientFailure(f"Kafka does not report the end offsets of {topic}: {error!r}") from error
    finally:
        await reader.stop()
    return {partition.partition: offset for partition, offset in found.items()}
