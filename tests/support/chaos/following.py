"""Follows replies, events and the joined topic during a run, so that nothing can expire before it is recorded."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.support.chaos.history import Event
from tests.support.chaos.recording import Recording
from tests.support.chaos.watch import Watch
from tests.support.installation import Installation
from tests.support.kafka import Record
from tests.support.waiting import eventually

READ_SECONDS = 120.0
REPLY = b"triptych.reply.v1"
EVENT = b"wix."


class Follower:
    """Records what comes, and shows it to a watch."""

    def __init__(
        self, installation: Installation, recording: Recording, watch: Watch, consumer: AIOKafkaConsumer
    ) -> None:
        self._consumer = consumer
        self._topics = installation.topics
        self._recording = recording
        self._watch = watch
        self._next: dict[TopicPartition, int] = {}
        """The offset after the last record of each partition; the topics were empty when the run began."""
        self.missed: list[str] = []
        """What expired before it was read: a run with such records cannot be judged."""

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            for partition, records in (await self._consumer.getmany(timeout_ms=1_000, max_records=1_000)).items():
                self._take(partition, records)

    async def until_read(self) -> None:
        """Wait until everything that is on the topics now is recorded. Raises AssertionError when that lasts long."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())

        async def are_read() -> bool:
            return all(self._next.get(partition, 0) >= end for partition, end in ends.items())

        await eventually(are_read, "all topics are read to their ends", deadline_seconds=READ_SECONDS)

    def _take(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        is_compacted = partition.topic == self._topics.galleries
        for record in records:
            expected = self._next.get(partition, 0)
            if record.offset > expected and not is_compacted:
                self.missed.append(f"{partition.topic}[{partition.partition}]: {expected} to {record.offset - 1}")
            self._next[partition] = max(expected, record.offset + 1)
            self._note(record)

    def _note(self, record: Record) -> None:
        headers = dict(record.headers)
        kind = headers.get("ce_type") or b""
        key = record.key.decode()
        if record.topic == self._topics.galleries:
            self._recording.add_joined(record.partition, record.offset, key, record.value)
            self._watch.see_joined(key, record.value)
        elif record.topic == self._topics.events:
            if kind.startswith(EVENT):
                site, cause = headers["ce_siteid"].decode(), headers["ce_causationid"].decode()
                value = orjson.loads(record.value)
                self._recording.add_event(
                    Event(record.partition, record.offset, key, site, cause, value, int(record.timestamp))
                )
        elif kind == REPLY:
            place = f"{record.topic}[{record.partition}]@{record.offset}"
            self._recording.add_reply(orjson.loads(record.value)["commandId"], place, record.value)
            if record.topic == self._topics.replies:
                self._watch.see_reply(key)


@contextlib.asynccontextmanager
async def following(installation: Installation, recording: Recording, watch: Watch) -> AsyncIterator[Follower]:
    """Follow during the block. At its end everything that was on the topics then is recorded.

    Raises:
        AssertionError: at the end, records expired before they were read.
    """
    topics = installation.topics
    replies = [spec.name for spec in installation.topic_specs if spec.name.startswith(topics.replies)]
    consumer = AIOKafkaConsumer(
        *(topics.events, topics.galleries, *replies),
        bootstrap_servers=installation.addresses.kafka_bootstrap,
        auto_offset_reset="earliest",
        group_id=None,
    )
    await consumer.start()
    made = Follower(installation, recording, watch, consumer)
    running = asyncio.create_task(made.run())
    try:
        yield made
        await made.until_read()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running  # one that has failed tells why
        await consumer.stop()
    assert not made.missed, f"expired before they were read: {made.missed}"
