"""Records that exceed the limit of their topic are refused before they are sent, and harm no other record."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import nullcontext

import pytest
from prometheus_client import REGISTRY

from tests.support.installation import Installation
from tests.support.kafka import topic_reader
from tests.support.topics import configure_topic
from triptych.kit.failures import RecordTooLarge
from triptych.kit.kafka.clients import BATCH_BYTES, make_producer
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.publishing.record_sizes import TopicLimits
from triptych.kit.process.settings import KitSettings

pytestmark = pytest.mark.only_topics("events")

MAX_MESSAGE_BYTES = 1024 * 1024


def incompressible(size: int) -> bytes:
    """Random bytes, which no codec can compress."""
    return os.urandom(size)


@pytest.fixture
async def publisher(installation: Installation) -> AsyncIterator[Publisher]:
    made = Publisher(lambda: make_producer(installation.settings(KitSettings)))
    yield made
    await made.stop()


async def set_limit(installation: Installation, topic: str, limit: int) -> None:
    await configure_topic(installation.addresses.kafka_bootstrap, topic, {"max.message.bytes": str(limit)})


async def values_on(installation: Installation, topic: str, wanted: set[bytes]) -> list[bytes]:
    async with topic_reader(installation.addresses.kafka_bootstrap, topic) as reader:
        records = await reader.read_until(
            lambda found: wanted <= {record.value for record in found}, f"{len(wanted)} values"
        )
        return [record.value for record in records]


async def test_a_record_that_is_too_large_harms_no_other_record(
    installation: Installation, publisher: Publisher
) -> None:
    topic = installation.topics.events
    large = OutgoingRecord(topic, b"k", incompressible(MAX_MESSAGE_BYTES), partition=0)
    small = [OutgoingRecord(topic, b"k", str(number).encode(), partition=0) for number in range(40)]
    outcomes = await asyncio.gather(
        *(publisher.publish([record]) for record in [*small[:20], large, *small[20:]]), return_exceptions=True
    )
    refused = [index for index, outcome in enumerate(outcomes) if outcome is not None]
    assert (refused, type(outcomes[20])) == ([20], RecordTooLarge)
    with pytest.raises(RecordTooLarge) as error:
        await publisher.publish([small[0], large, small[1], large])
    assert error.value.positions == {1, 3}
    await publisher.publish([OutgoingRecord(topic, b"k", b"after", partition=0)])
    assert len(await values_on(installation, topic, {b"after"})) == 41


@pytest.mark.parametrize("spare", [-1, 0])
async def test_the_size_that_counts_is_the_one_on_the_wire(installation: Installation, spare: int) -> None:
    """The size is exact to the byte, headers included."""
    topic = installation.topics.events
    publisher = Publisher(lambda: make_producer(installation.settings(KitSettings, compression="none")))
    headers = (("name", incompressible(1_000)), ("größe", incompressible(1_000)))
    overhead = 61 + 3 + 1 + 1 + 1 + (1 + 1) + 3 + 1 + (1 + 4 + 2 + 1_000) + (1 + 7 + 2 + 1_000)
    value = incompressible(MAX_MESSAGE_BYTES - overhead - spare)
    record = OutgoingRecord(topic, b"k", value, headers, partition=0)
    try:
        with pytest.raises(RecordTooLarge) if spare < 0 else nullcontext():
            await publisher.publish([record])
        await publisher.publish([OutgoingRecord(topic, b"k", b"after", partition=0)])
    finally:
        await publisher.stop()


@pytest.mark.parametrize("compression", ["gzip", "lz4", "snappy", "zstd"])
async def test_what_can_be_compressed_may_be_larger(installation: Installation, compression: str) -> None:
    topic = installation.topics.events
    publisher = Publisher(lambda: make_producer(installation.settings(KitSettings, compression=compression)))
    try:
        await publisher.publish([OutgoingRecord(topic, b"k", b"5 MB" * 1_250_000, partition=0)])
        # Only the size after compression counts, even if a codec makes the record larger.
        with pytest.raises(RecordTooLarge):
            await publisher.publish([OutgoingRecord(topic, b"k", incompressible(MAX_MESSAGE_BYTES - 90), partition=0)])
        await publisher.publish([OutgoingRecord(topic, b"k", b"after", partition=0)])
    finally:
        await publisher.stop()


async def test_a_limit_that_is_lowered_meanwhile_harms_only_records_above_it(
    installation: Installation, publisher: Publisher
) -> None:
    topic = installation.topics.events
    await publisher.publish([OutgoingRecord(topic, b"k", incompressible(300_000), partition=0)])
    await set_limit(installation, topic, 100_000)
    large = OutgoingRecord(topic, b"k", incompressible(200_000), partition=0)
    small = [OutgoingRecord(topic, b"k", incompressible(30_000), partition=0) for _ in range(12)]
    # Together, the small records are larger than the new limit of a batch.
    outcomes = await asyncio.gather(
        publisher.publish([large]), publisher.publish(small), publisher.publish([large]), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [RecordTooLarge, type(None), RecordTooLarge]
    values = [record.value for record in small]
    found = await values_on(installation, topic, set(filter(None, values)))
    assert [values.index(value) for value in dict.fromkeys(found) if value in values] == list(range(12))


async def test_records_stay_in_order_when_the_first_batch_of_a_producer_is_refused(
    installation: Installation, publisher: Publisher
) -> None:
    """The second batch is within the limit, and the broker does not know this producer yet."""
    topic = installation.topics.events
    await publisher.limit(topic)
    await set_limit(installation, topic, 100_000)
    values = [incompressible(60_000) for _ in range(9)]
    assert 8 * 60_000 < BATCH_BYTES < 9 * 60_000
    await publisher.publish([OutgoingRecord(topic, b"k", value, partition=0) for value in values])
    found = await values_on(installation, topic, set(values))
    assert [values.index(value) for value in dict.fromkeys(found)] == list(range(9))


async def test_a_refusal_whose_limit_cannot_be_read_does_not_raise_the_limit(installation: Installation) -> None:
    topic, limits = installation.topics.events, TopicLimits()
    producer = make_producer(installation.settings(KitSettings))
    await producer.start()
    limit = await limits.of(topic, producer, 0)
    await producer.stop()
    await limits.correct(topic, producer, 2 * limit)
    assert await limits.of(topic, producer, 0) == limit
    # A topic that is not among our own may come from a sender, who must not choose the value of a label.
    assert REGISTRY.get_sample_value("triptych_refused_batches_total", {"topic": topic}) is None
    assert REGISTRY.get_sample_value("triptych_refused_batches_total", {"topic": "other"})
