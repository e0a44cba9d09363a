"""Decides where a partition of the joined topic is read from, and says where reading is."""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

from triptych.client.joined.storage import Position
from triptych.client.kafka import AIOKafkaConsumer, IllegalStateError, TopicPartition

POSITION_SECONDS = 1.0


class End(NamedTuple):
    """Where a partition ended by its broker's last response, and when the response came."""

    offset: int
    read_until: datetime


def start_at(stored: Position | None, beginning: int, end: int, oldest: datetime) -> int | None:
    """The offset at which to continue; None if the stored state cannot be continued.

    That is so if it was read before `oldest`, since tombstones may be gone, or if the topic ends before it, since the
    topic was created again.
    """
    if stored is None:
        return beginning
    if stored.read_until <= oldest or stored.offset > end:
        return None
    return max(stored.offset, beginning)


def end_of(consumer: AIOKafkaConsumer, partition: TopicPartition) -> End | None:
    """The end of an assigned partition; None if it was not fetched yet.

    With transactions, it is the end of what can be read.
    """
    stable, highest = consumer.last_stable_offset(partition), consumer.highwater(partition)
    at = consumer.last_poll_timestamp(partition)
    offset = highest if stable is None or stable < 0 else stable
    return None if offset is None or at is None else End(offset, datetime.fromtimestamp(at / 1000, UTC))


async def position_of(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """The offset of the next record of an assigned partition; None if there is none yet."""
    try:
        async with asyncio.timeout(POSITION_SECONDS):
            return int(await consumer.position(partition))
    except (TimeoutError, IllegalStateError):  # it went to another member of the group in the meantime
        return None
