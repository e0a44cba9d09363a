"""Sessions with a real broker: fetches are small, and each record is read once and in order, whatever happens."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.protocol.fetch import FetchRequest

from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import raw_producer
from tests.support.waiting import eventually
from triptych.kit.kafka.clients import make_reader
from triptych.kit.kafka.reading.fetch_sessions import FetchSession
from triptych.kit.kafka.reading.reader import Reader
from triptych.kit.process.settings import KitSettings

pytestmark = pytest.mark.only_topics("commands")

STEPS = 300


@pytest.fixture
def partitions(installation: Installation) -> list[TopicPartition]:
    return [TopicPartition(installation.topics.commands, number) for number in range(PARTITIONS)]


@asynccontextmanager
async def reading(installation: Installation, partitions: list[TopicPartition]) -> AsyncIterator[Reader]:
    reader = make_reader(installation.settings(KitSettings), auto_offset_reset="earliest", fetch_max_wait_ms=50)
    await reader.start()
    try:
        reader.assign(partitions)
        yield reader
    finally:
        await reader.stop()


async def read_all(reader: Reader, count: int) -> list[bytes]:
    found: list[bytes] = []

    async def are_read() -> bool:
        for records in (await reader.getmany(timeout_ms=50)).values():
            found.extend(record.value for record in records)
        return len(found) >= count

    await eventually(are_read, f"{count} records are read")
    return found


def session_of(reader: Reader) -> FetchSession:
    assert reader._fetcher is not None
    (session,) = reader._fetcher.sessions._sessions.values()
    return session


def partitions_in(message: Any) -> int:
    return sum(len(entries) for _, entries in message.topics)


def listen(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many partitions each fetch has from now on, and its response."""
    sizes: list[tuple[int, int]] = []
    send = reader._client.send

    async def send_and_note(node_id: int, request: Any, **options: Any) -> Any:
        response = await send(node_id, request, **options)
        if isinstance(request, FetchRequest):
            sizes.append((partitions_in(request), partitions_in(response)))
        return response

    monkeypatch.setattr(reader._client, "send", send_and_note)
    return sizes


async def test_a_fetch_has_only_the_partitions_that_changed(
    installation: Installation, partitions: list[TopicPartition], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer, reading(installation, []) as reader:
        sizes = listen(reader, monkeypatch)
        reader.assign(partitions)

        async def is_idle() -> bool:
            await reader.getmany(timeout_ms=50)
            return sizes[-3:] == [(0, 0)] * 3

        await eventually(is_idle, "fetches without partitions")
        assert (PARTITIONS, PARTITIONS) in sizes
        del sizes[:]
        for partition in partitions:
            await producer.send_and_wait(partition.topic, b"new", partition=partition.partition)
            assert await read_all(reader, 1) == [b"new"]
        await eventually(is_idle, "fetches without partitions")
    # A record is in a response, and its partition has another offset in the next request.
    assert sum(asked for asked, _ in sizes) == sum(got for _, got in sizes) == PARTITIONS


@pytest.mark.parametrize(
    "forget",
    [
        pytest.param(lambda session: setattr(session, "_id", session._id ^ 1), id="another-id"),
        pytest.param(lambda session: setattr(session, "_epoch", session._epoch + 5), id="another-epoch"),
        pytest.param(lambda session: setattr(session, "_is_in_flight", True), id="a-lost-response"),
    ],
)
async def test_a_session_that_the_broker_does_not_know_is_replaced(
    installation: Installation, partitions: list[TopicPartition], forget: Callable[[FetchSession], None]
) -> None:
    async with (
        raw_producer(installation.addresses.kafka_bootstrap) as producer,
        reading(installation, partitions) as reader,
    ):
        expected = []
        for number in range(20):
            for partition in partitions:
                expected.append(b"%d of %d" % (number, partition.partition))
                await producer.send_and_wait(partition.topic, expected[-1], partition=partition.partition)
            found = await read_all(reader, PARTITIONS)
            assert sorted(found) == sorted(expected[-PARTITIONS:])
            forget(session_of(reader))


async def test_a_new_assignment_knows_the_ends_of_its_partitions(
    installation: Installation, partitions: list[TopicPartition]
) -> None:
    async with (
        raw_producer(installation.addresses.kafka_bootstrap) as producer,
        reading(installation, partitions[:2]) as reader,
    ):
        await producer.send_and_wait(partitions[0].topic, b"one", partition=0)
        assert await read_all(reader, 1) == [b"one"]
        reader.assign(partitions)
        for partition in partitions:
            reader.seek(partition, int(partition == partitions[0]))

        async def ends_are_known() -> bool:
            await reader.getmany(timeout_ms=50)
            return [reader.highwater(each) for each in partitions] == [1] + [0] * (PARTITIONS - 1)

        await eventually(ends_are_known, "the end of each partition is known")


async def test_the_end_of_a_partition_is_known_although_a_seek_made_its_first_response_useless(
    installation: Installation, partitions: list[TopicPartition], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer, reading(installation, []) as reader:
        await producer.send_and_wait(partitions[0].topic, b"one", partition=0)
        has_come, may_go_on = asyncio.Event(), asyncio.Event()
        send = reader._client.send

        async def send_and_wait(node_id: int, request: Any, **options: Any) -> Any:
            response = await send(node_id, request, **options)
            if isinstance(request, FetchRequest):
                has_come.set()
                await may_go_on.wait()
            return response

        monkeypatch.setattr(reader._client, "send", send_and_wait)
        reader.assign(partitions)
        for partition in partitions:
            reader.seek(partition, 0)
        await asyncio.wait_for(has_come.wait(), 20)
        reader.seek(partitions[0], 1)
        may_go_on.set()

        async def end_is_known() -> bool:
            await reader.getmany(timeout_ms=50)
            return bool(reader.highwater(partitions[0]) == 1)

        await eventually(end_is_known, "the end of the partition is known")


async def test_each_record_is_read_once_and_in_order_while_partitions_pause_and_positions_move(
    installation: Installation, partitions: list[TopicPartition]
) -> None:
    made: dict[TopicPartition, list[bytes]] = {partition: [] for partition in partitions}
    position = dict.fromkeys(partitions, 0)
    chosen = random.Random(227)
    async with (
        raw_producer(installation.addresses.kafka_bootstrap) as producer,
        reading(installation, partitions) as reader,
    ):

        async def poll(limit: int | None) -> None:
            for partition, records in (await reader.getmany(timeout_ms=20, max_records=limit)).items():
                for record in records:
                    assert (record.offset, record.value) == (position[partition], made[partition][record.offset])
                    position[partition] += 1

        for _ in range(STEPS):
            match chosen.randrange(5):
                case 0 | 1:
                    await produce(producer, chosen.choice(partitions), chosen.randint(1, 5), made)
                case 2:
                    await poll(chosen.choice([1, 2, None]))
                case 3:
                    change = chosen.choice([reader.pause, reader.resume])
                    change(*chosen.sample(partitions, 2))
                case 4:
                    partition = chosen.choice(partitions)
                    position[partition] = chosen.randint(0, len(made[partition]))
                    reader.seek(partition, position[partition])
        reader.resume(*partitions)

        async def everything_is_read() -> bool:
            await poll(None)
            return all(position[partition] == len(values) for partition, values in made.items())

        await eventually(everything_is_read, "all records are read")


async def produce(
    producer: AIOKafkaProducer, partition: TopicPartition, count: int, made: dict[TopicPartition, list[bytes]]
) -> None:
    for _ in range(count):
        made[partition].append(b"%d" % len(made[partition]))
        await producer.send_and_wait(partition.topic, made[partition][-1], partition=partition.partition)
