"""Raw Kafka clients for tests: a producer and a reader without product code."""

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import NotLeaderForPartitionError
from aiokafka.protocol.group import LeaveGroupRequest

from tests.support.waiting import eventually
from triptych.contract.codec.envelope import Message

Publish: TypeAlias = Callable[[Sequence[Message]], Coroutine[Any, Any, None]]
"""Publishes messages to the events topic, in order."""

Record: TypeAlias = ConsumerRecord[Any, Any]


@asynccontextmanager
async def raw_producer(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A producer with aiokafka's defaults, except for `options`."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


class TopicReader:
    """Reads every record of a topic, from its beginning."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.records: list[Record] = []

    async def read_until(
        self, enough: Callable[[list[Record]], bool], what: str, *, deadline_seconds: float = 20.0
    ) -> list[Record]:
        """All records so far, once they are `enough`. Raises AssertionError when the deadline passes."""
        deadline = time.monotonic() + deadline_seconds
        while not enough(self.records):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {deadline_seconds:g} s: {what} ({len(self.records)} records)")
            for records in (await self._consumer.getmany(timeout_ms=100)).values():
                self.records.extend(records)
        return self.records

    async def read_count(self, count: int) -> list[Record]:
        """All records so far, once there are `count`."""
        return await self.read_until(lambda records: len(records) >= count, f"{count} records")


@asynccontextmanager
async def topic_reader(bootstrap: str, topic: str, **options: Any) -> AsyncIterator[TopicReader]:
    """A reader of one topic, with aiokafka's defaults, except for `options`."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None, **options
    )
    await consumer.start()
    try:
        yield TopicReader(consumer)
    finally:
        await consumer.stop()


async def expire_records(bootstrap: str, topic: str, partitions: int) -> None:
    """Delete everything that is on a topic now, as retention would."""
    topic_partitions = [TopicPartition(topic, partition) for partition in range(partitions)]

    async def has_deleted() -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.delete_records({each: RecordsToDelete(before_offset=-1) for each in topic_partitions})
        except NotLeaderForPartitionError:
            return False  # the client's metadata is older than the election of the leader
        finally:
            await admin.close()
        return True

    await eventually(has_deleted, f"the records of {topic} are deleted")


async def members_leave(bootstrap: str, group: str) -> None:
    """Remove all members from a consumer group, as its broker does when the session time of dead ones has passed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        coordinator = await admin.find_coordinator(group)
        for described in await admin.describe_consumer_groups([group], coordinator):
            for _error, _group, _state, _type, _protocol, members, *_ in described.groups:
                for member_id, *_ in members:
                    await admin._send_request(LeaveGroupRequest(group, member_id), coordinator)
    finally:
        await admin.close()
