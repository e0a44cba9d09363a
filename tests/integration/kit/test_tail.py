"""`tail` on a real broker: new records are read although the topic is deleted, created again or enlarged."""

import time

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import raw_producer
from tests.support.topics import recreate
from tests.support.waiting import eventually
from triptych.kit.kafka.reading import fetch_pace
from triptych.kit.kafka.reading import tail as tail_module
from triptych.kit.kafka.reading.tail import TopicTail, resume_at, tail
from triptych.kit.process.settings import KitSettings

pytestmark = pytest.mark.only_topics("replies")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "INTERVAL_SECONDS", 0.1)


async def read(tailed: TopicTail, count: int) -> list[bytes]:
    found: list[bytes] = []

    async def enough() -> bool:
        for records in (await tailed.getmany(timeout_ms=100)).values():
            found.extend(record.value for record in records)
        return len(found) >= count

    await eventually(enough, f"{count} records are read")
    return found


async def send(bootstrap: str, topic: str, *values: bytes, partition: int = 0) -> None:
    async with raw_producer(bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=partition)


@pytest.mark.parametrize("before", [0, 1, 5])
async def test_a_topic_that_was_created_again_is_read_from_its_beginning(
    installation: Installation, before: int
) -> None:
    bootstrap, topic = installation.addresses.kafka_bootstrap, installation.topics.replies
    restarts: list[dict[TopicPartition, int]] = []
    async with tail(
        installation.settings(KitSettings), [topic], restarted=lambda offsets: restarts.append(dict(offsets))
    ) as records:
        for number in range(before):
            await send(bootstrap, topic, b"old %d" % number)
        await read(records, before)
        await recreate(bootstrap, topic)
        # More records than the old topic had, so that no offset is out of range.
        new = [b"new %d" % number for number in range(7)]
        await send(bootstrap, topic, *new)
        found = await read(records, 7)
        assert set(found) == set(new)

        async def is_reported() -> bool:
            await records.getmany(timeout_ms=50)
            return len(restarts) == 1

        await eventually(is_reported, "the restart is reported")
        await send(bootstrap, topic, b"last", partition=2)
        assert b"last" in await read(records, 1)
        assert records.problem is None
    assert restarts == [{TopicPartition(topic, number): 0 for number in range(PARTITIONS)}]


async def test_a_missing_topic_is_a_problem(installation: Installation) -> None:
    bootstrap, topic = installation.addresses.kafka_bootstrap, installation.topics.replies
    async with tail(installation.settings(KitSettings), [topic]) as records:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([topic])
        finally:
            await admin.close()

        async def is_reported() -> bool:
            return records.problem == f"topic {topic} does not exist"

        await eventually(is_reported, "the missing topic is reported")


async def test_partitions_that_are_added_are_read_from_their_beginning(installation: Installation) -> None:
    bootstrap, topic = installation.addresses.kafka_bootstrap, installation.topics.replies
    async with tail(installation.settings(KitSettings), [topic]) as records:
        await send(bootstrap, topic, b"before")
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.create_partitions({topic: NewPartitions(total_count=PARTITIONS + 1)})
        finally:
            await admin.close()

        async def is_sent() -> bool:
            try:
                await send(bootstrap, topic, b"on the new one", partition=PARTITIONS)
            except AssertionError:  # the producer does not know the partition yet
                return False
            return True

        await eventually(is_sent, "the new partition has a record")
        assert await read(records, 2) == [b"before", b"on the new one"]


async def test_the_first_record_ends_a_long_wait_and_later_ones_are_gathered(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_pace, "IDLE_WAIT_MS", 6_000)
    bootstrap, topic = installation.addresses.kafka_bootstrap, installation.topics.replies
    async with tail(installation.settings(KitSettings), [topic], gather_ms=100) as records:
        fetcher = records._reader._fetcher
        assert fetcher is not None

        async def waits() -> bool:
            return bool(fetcher._in_flight) and fetcher._fetch_max_wait_ms == 6_000

        await eventually(waits, "a fetch waits")
        begun = time.monotonic()
        await send(bootstrap, topic, b"first")
        assert await read(records, 1) == [b"first"]
        assert time.monotonic() - begun < 5.0
        await send(bootstrap, topic, b"second", b"third", partition=1)
        assert await read(records, 2) == [b"second", b"third"]

        async def gathers() -> bool:
            return fetcher._fetch_max_wait_ms == 100

        await eventually(gathers, "a fetch gathers")
        await eventually(waits, "a fetch waits for long again")


def test_reading_continues_where_the_topic_still_has_records() -> None:
    assert resume_at(3, 10, 20) == 10
    assert resume_at(30, 10, 20) == 20


async def test_the_lag_is_known_without_another_request(installation: Installation) -> None:
    topic = installation.topics.replies
    async with tail(installation.settings(KitSettings), [topic]) as tailed:
        await send(installation.addresses.kafka_bootstrap, topic, b"1", b"2", partition=1)

        async def is_behind() -> bool:
            state = tailed.states(topic)[1]
            return state.reached == 0 and state.end > 0

        await eventually(is_behind, "a record is there that was not read")
        await read(tailed, 2)
        assert {number: (state.reached, state.end) for number, state in tailed.states(topic).items()} == {
            0: (0, 0),
            1: (2, 2),
            2: (0, 0),
        }
