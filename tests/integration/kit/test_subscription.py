"""`subscribe` on a real broker: FastStream polls by our method, and added partitions are found."""

import time
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from tests.support.consuming import Recorder, consuming
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import raw_producer
from tests.support.waiting import eventually
from triptych.kit.kafka.reading import reader as reading
from triptych.kit.kafka.reading.subscription import POLL_MS
from triptych.kit.kafka.topic_changes import changing_topics
from triptych.kit.process.settings import KitSettings

pytestmark = pytest.mark.only_topics("commands", "commands.dead-letter")


async def test_polls_wait_for_records_instead_of_sleeping_between(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []
    getmany = AIOKafkaConsumer.getmany

    async def noting(consumer: AIOKafkaConsumer, *partitions: Any, timeout_ms: int = 0, max_records: Any = None) -> Any:
        waits.append(timeout_ms)
        return await getmany(consumer, *partitions, timeout_ms=timeout_ms, max_records=max_records)

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", noting)
    recorder = Recorder()
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer, consuming(installation, recorder):
        for value in (b"first", b"second"):
            await producer.send_and_wait(installation.topics.commands, value)
            await eventually(partial(recorder.has, value), f"{value!r} has arrived")
    # A poll by FastStream's own method would have its timeout, and a sleep of the same length.
    assert set(waits) == {POLL_MS}


async def test_added_partitions_are_found_when_they_are_looked_for(installation: Installation) -> None:
    """By itself, a group divides them up to ten seconds later."""
    recorder, added = Recorder(), PARTITIONS
    topic = installation.topics.commands
    async with (
        raw_producer(installation.addresses.kafka_bootstrap, metadata_max_age_ms=200) as producer,
        consuming(installation, recorder) as consumer,
        changing_topics(installation.settings(KitSettings)) as changes,
    ):
        await producer.send_and_wait(topic, b"before")
        await eventually(partial(recorder.has, b"before"), "the consumer has partitions")
        reader = consumer.reader
        assert reader is not None
        began_at = time.monotonic()
        await changes.add_partitions({topic: PARTITIONS + 1})

        async def is_owned() -> bool:
            reader.look_for_partitions(topic, PARTITIONS + 1)
            return added in consumer.reached()

        await eventually(is_owned, "the added partition is owned")
        assert time.monotonic() - began_at < reading.METADATA_MAX_AGE_MS / 1000 / 2
        await producer.send_and_wait(topic, b"after", partition=added)
        await eventually(partial(recorder.has, b"after"), "a record on it is handled")
