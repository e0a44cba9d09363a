"""Asks Kafka how far each consumer group is behind, and how many dead letters there are."""

import asyncio
import time
from collections.abc import Mapping

from aiokafka import TopicPartition

from triptych.contract.topics import Topics
from triptych.kit.kafka.clients import make_reader, start_client
from triptych.kit.kafka.groups import command_group, history_group, projector_group, webhooks_group
from triptych.kit.kafka.reading.offsets import GroupOffsets, TopicOffsets
from triptych.kit.process.clock import unix_seconds
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.provision import require_topics
from triptych.status.report import DeadLetters, KafkaStatus, Lag

OLDEST_SECONDS = 1.5
"""How long the oldest record that is not handled may be looked for."""
PARTITIONS_READ = 24
"""The partitions with most records to handle, in which the oldest record is looked for."""


async def kafka_status(settings: KitSettings) -> KafkaStatus:
    """What Kafka knows now, without the groups that depend on what MongoDB says (`lags_of_views`).

    Raises:
        StartRefused: Kafka does not answer, or topics are missing.
        TransientFailure: Kafka stopped answering.
    """
    topics, prefix = Topics(settings.topic_prefix), settings.topic_prefix
    dead = [spec.name for spec in topics.catalogue(1, 1) if spec.name.endswith(topics.dead_letter(""))]
    await require_topics(settings, [topics.commands, topics.events, *dead])
    groups = ((command_group(prefix), topics.commands), (webhooks_group(prefix), topics.events))
    lags, letters = await asyncio.gather(
        asyncio.gather(*(lag_of(settings, group, topic) for group, topic in groups)),
        asyncio.gather(*(_dead_letters(settings, topic) for topic in dead)),
    )
    return KafkaStatus(tuple(lags), tuple(letters))


async def lags_of_views(settings: KitSettings, view_version: int, *, has_history: bool) -> tuple[Lag, ...]:
    """The lag of the projector, and of its archive of events if it keeps one. Raises like `kafka_status`."""
    prefix = settings.topic_prefix
    groups = [projector_group(prefix, view_version), *([history_group(prefix)] if has_history else [])]
    events = Topics(prefix).events
    return tuple(await asyncio.gather(*(lag_of(settings, group, events) for group in groups)))


async def lag_of(settings: KitSettings, group: str, topic: str) -> Lag:
    """How far a group is behind. Raises like `kafka_status`."""
    async with GroupOffsets(settings, topic, group) as offsets:
        ends = await offsets.all_ends()
        committed, beginnings = await asyncio.gather(offsets.committed(), offsets.beginnings(ends))
    reached = {partition: max(committed.get(partition, 0), beginnings[partition]) for partition in ends}
    behind = {partition: end - reached[partition] for partition, end in ends.items() if end > reached[partition]}
    most = sorted(behind, key=lambda partition: -behind[partition])[:PARTITIONS_READ]
    oldest = await _oldest_ms(settings, {TopicPartition(topic, partition): reached[partition] for partition in most})
    seconds = None if oldest is None else round(max(0.0, unix_seconds() - oldest / 1000), 1)
    return Lag(group, topic, sum(behind.values()), seconds)


async def _dead_letters(settings: KitSettings, topic: str) -> DeadLetters:
    async with TopicOffsets(settings, topic) as offsets:
        ends = await offsets.all_ends()
        beginnings = await offsets.beginnings(ends)
    return DeadLetters(topic, sum(end - beginnings[partition] for partition, end in ends.items()))


async def _oldest_ms(settings: KitSettings, positions: Mapping[TopicPartition, int]) -> int | None:
    """The time of the oldest record at these positions, in ms since 1970; None if no record can be read."""
    if not positions:
        return None
    reader = make_reader(settings, auto_offset_reset="earliest")
    await start_client(reader, settings)
    found: dict[TopicPartition, int] = {}
    try:
        reader.assign(list(positions))
        for topic_partition, offset in positions.items():
            reader.seek(topic_partition, offset)
        # Records of an open transaction are not returned, so the wait has a limit.
        deadline = time.monotonic() + OLDEST_SECONDS
        while len(found) < len(positions) and (left := deadline - time.monotonic()) > 0:
            polled = await reader.getmany(timeout_ms=int(left * 1000) + 1, max_records=len(positions))
            for topic_partition, records in polled.items():
                if records:
                    found.setdefault(topic_partition, records[0].timestamp)
                    reader.pause(topic_partition)
    finally:
        await reader.stop()
    return min(found.values(), default=None)
