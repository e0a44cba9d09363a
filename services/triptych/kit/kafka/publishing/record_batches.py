"""Builds batches of records within the size limit of their topic, and enqueues them at a producer."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from triptych.kit.kafka.clients import BATCH_BYTES
from triptych.kit.kafka.header_names import LenientBatchBuilder
from triptych.kit.kafka.publishing.record_sizes import bound, expanded
from triptych.kit.process.clock import unix_milliseconds


class OutgoingRecord(NamedTuple):
    """One record to publish. The partition is murmur2 of `key` unless given; `value=None` is a tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


class Oversized(Exception):
    """A broker refused a batch because of its size."""


class EnqueuedBatch(NamedTuple):
    """A batch in flight."""

    topic: str
    batch: BatchBuilder
    acknowledgement: asyncio.Future[RecordMetadata]


def batch_of(producer: AIOKafkaProducer, record: OutgoingRecord) -> BatchBuilder:
    """A batch of this one record, which may be of any size."""
    at = unix_milliseconds()
    batch = producer.create_batch()
    if not _append(batch, record, at):
        batch = LenientBatchBuilder(producer)
        _append(batch, record, at)
    return batch


def batches_of(producer: AIOKafkaProducer, records: Sequence[OutgoingRecord], limit: int) -> list[BatchBuilder]:
    """Records of one partition in as few batches as possible; at least one batch.

    Only a batch of a single record may be larger than `limit` bytes.
    """
    at = unix_milliseconds()
    batches = [batch := producer.create_batch()]
    for record in records:
        is_full = (
            limit < 2 * BATCH_BYTES
            and batch.record_count() > 0
            and expanded(batch.size()) + bound(record.key, record.value, record.headers) > limit
        )
        if is_full or not _append(batch, record, at):
            if not batch.record_count():
                batches.pop()
            batches.append(batch := batch_of(producer, record))
    return batches


async def enqueue(
    producer: AIOKafkaProducer, topic: str, partition: int, batches: Sequence[BatchBuilder]
) -> list[EnqueuedBatch]:
    """Give the batches to the producer, in order."""
    return [
        EnqueuedBatch(topic, batch, await producer.send_batch(batch, topic, partition=partition)) for batch in batches
    ]


def _append(batch: BatchBuilder, record: OutgoingRecord, at: int) -> bool:
    """Add a record with this time; False if the batch has no room for it or does not accept its header names."""
    try:
        appended = batch.append(key=record.key, value=record.value, timestamp=at, headers=list(record.headers))
    except UnicodeEncodeError:
        return False
    return appended is not None
