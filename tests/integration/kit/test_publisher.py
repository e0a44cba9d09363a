"""The publisher on a real broker that does not take its records."""

import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import topic_reader
from tests.support.waiting import eventually
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.publishing import producer_owner
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.process.settings import KitSettings

pytestmark = pytest.mark.only_topics("events")

TIMEOUT_SECONDS = 1.0


async def test_records_that_are_stuck_delay_no_others_and_are_given_up(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer_owner, "STOP_TIMEOUT_SECONDS", 2 * TIMEOUT_SECONDS)
    settings = installation.settings(KitSettings)
    made: list[AIOKafkaProducer] = []

    def make() -> AIOKafkaProducer:
        made.append(make_producer(settings))
        return made[-1]

    gone, present = f"{installation.name}.gone", installation.topics.events
    publisher = Publisher(make, TIMEOUT_SECONDS)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(gone, 1, 1)])
        await publisher.publish([OutgoingRecord(gone, b"key", b"before")])
        await admin.delete_topics([gone])

        async def is_gone() -> bool:  # the broker acknowledges a deletion before it is done
            return gone not in await admin.list_topics()

        await eventually(is_gone, "the topic is deleted")
        with pytest.raises(TransientFailure, match="did not acknowledge"):
            await publisher.publish([OutgoingRecord(gone, b"key", b"after", partition=0)])

        started = time.monotonic()
        await publisher.publish([OutgoingRecord(present, b"key", b"value")])
        assert time.monotonic() - started < TIMEOUT_SECONDS, "waited for the other producer to end"
        async with topic_reader(settings.kafka_bootstrap, present) as reader:
            assert [record.value for record in await reader.read_count(1)] == [b"value"]
    finally:
        await publisher.stop()
        await admin.close()
    assert len(made) == 2
    assert all(producer._sender.sender_task.done() for producer in made), "a producer is still sending"


async def test_a_partition_that_was_just_added_takes_records(installation: Installation) -> None:
    settings, topic = installation.settings(KitSettings), installation.topics.events
    publisher = Publisher(lambda: make_producer(settings))
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        await publisher.publish([OutgoingRecord(topic, b"key", b"before", partition=0)])
        await admin.create_partitions({topic: NewPartitions(total_count=PARTITIONS + 1)})
        await publisher.publish([OutgoingRecord(topic, b"key", b"after", partition=PARTITIONS)])
        async with topic_reader(settings.kafka_bootstrap, topic) as reader:
            found = {record.value: record.partition for record in await reader.read_count(2)}
        assert found == {b"before": 0, b"after": PARTITIONS}
    finally:
        await publisher.stop()
        await admin.close()


async def test_a_partition_that_does_not_exist_is_reported_within_seconds(installation: Installation) -> None:
    settings, topic = installation.settings(KitSettings), installation.topics.events
    publisher = Publisher(lambda: make_producer(settings))
    try:
        with pytest.raises(TransientFailure, match=r"failed 6 times in a row.*Unrecognized partition"):
            await publisher.publish([OutgoingRecord(topic, b"key", b"value", partition=PARTITIONS)])
    finally:
        await publisher.stop()
