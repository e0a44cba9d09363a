"""Records that are hard to read, on a real broker: none is lost, and none blocks its neighbours."""

from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from tests.support.batches import batch
from tests.support.commands import header
from tests.support.consuming import Recorder, consuming
from tests.support.installation import Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.produce import produce
from tests.support.waiting import eventually
from triptych.kit.kafka.clients import make_producer, make_reader
from triptych.kit.kafka.fast_gzip import EXPANDED_MAX
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading import reader as reading
from triptych.kit.kafka.reading.fetched import Fetched
from triptych.kit.kafka.reading.tail import tail
from triptych.kit.process.settings import KitSettings

pytestmark = pytest.mark.only_topics("commands", "commands.dead-letter")

ODD = b"gr\xf6\xdfe"
ODD_NAME = ODD.decode("utf-8", "surrogateescape")
DAMAGED, DAMAGE = b"to be damaged", b"to be dam\x00ged"


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetched batches that contain `DAMAGED` have a wrong checksum, as if a disk had lost a bit."""

    def fetched(topic_partition: TopicPartition, data: bytes, *others: Any) -> Fetched:
        return Fetched(topic_partition, data.replace(DAMAGED, DAMAGE), *others)

    monkeypatch.setattr(reading, "Fetched", fetched)


async def put(installation: Installation, partition: int, made: bytes) -> int:
    return await produce(installation.addresses.kafka_bootstrap, installation.topics.commands, partition, made)


async def test_a_record_whose_header_has_no_utf8_name_is_handled_and_so_are_all_others(
    installation: Installation,
) -> None:
    recorder = Recorder()
    for number in range(5):
        for partition in range(3):
            await put(installation, partition, batch(b"%d-%d" % (partition, number)))
        if number == 2:
            await put(installation, 1, batch(b"odd", b"neighbour", headers=[(ODD, b"1")]))
    async with consuming(installation, recorder):
        wanted = {b"%d-%d" % (partition, number) for partition in range(3) for number in range(5)}
        await eventually(lambda: recorder.has(*wanted, b"odd", b"neighbour"), "all records handled")
    assert len(recorder.values) == len(set(recorder.values)) == 17


async def test_what_cannot_be_read_becomes_a_dead_letter_with_its_bytes(
    installation: Installation, damage: None
) -> None:
    topics, recorder = installation.topics, Recorder()
    made = batch(DAMAGED, b"with it")
    await put(installation, 0, batch(b"before"))
    await put(installation, 0, made)
    async with (
        consuming(installation, recorder),
        topic_reader(installation.addresses.kafka_bootstrap, topics.dead_letter(topics.commands)) as letters,
    ):
        (letter,) = await letters.read_count(1)
        await put(installation, 0, batch(b"after"))
        await eventually(lambda: recorder.has(b"before", b"after"), "the neighbours handled")
    assert letter.value is not None
    assert letter.value[21:] == made[21:].replace(DAMAGED, DAMAGE)  # the broker changes the bytes before that
    assert letter.partition == 0
    assert header(letter, "dead-letter-reason") == "UNREADABLE"
    assert header(letter, "dead-letter-offsets") == "1-2"
    assert [(record.first_offset, record.offset) for record in recorder.unreadable] == [(1, 2)]
    assert recorder.values == [b"before", b"after"]


async def test_a_batch_that_would_fill_the_memory_becomes_a_dead_letter(installation: Installation) -> None:
    topics, recorder = installation.topics, Recorder()
    await put(installation, 0, batch(bytes(EXPANDED_MAX), codec=4))
    await put(installation, 0, batch(b"after"))
    async with (
        consuming(installation, recorder),
        topic_reader(installation.addresses.kafka_bootstrap, topics.dead_letter(topics.commands)) as letters,
    ):
        await eventually(lambda: recorder.has(b"after"), "the neighbour handled")
        (letter,) = await letters.read_count(1)
    assert header(letter, "dead-letter-reason") == "UNREADABLE"
    assert len(letter.value or b"") < 100_000


async def test_a_reader_outside_a_group_skips_what_cannot_be_read(installation: Installation, damage: None) -> None:
    settings = installation.settings(KitSettings)
    async with tail(settings, [installation.topics.commands]) as records:
        for partition in range(3):
            await put(installation, partition, batch(DAMAGED))
            await put(installation, partition, batch(b"odd", headers=[(ODD, None)]))
        found = [(await records.getone()).value for _ in range(3)]
    assert found == [b"odd"] * 3


async def test_only_committed_records_are_handled(installation: Installation) -> None:
    recorder = Recorder()
    topic = installation.topics.commands
    transactional = AIOKafkaProducer(bootstrap_servers=installation.addresses.kafka_bootstrap, transactional_id="a")
    await transactional.start()
    try:
        async with (
            consuming(installation, recorder) as consumer,
            raw_producer(installation.addresses.kafka_bootstrap) as producer,
        ):
            await transactional.begin_transaction()
            await transactional.send_and_wait(topic, b"aborted", partition=0)
            await transactional.abort_transaction()
            await transactional.begin_transaction()
            await transactional.send_and_wait(topic, b"open", partition=0)
            await producer.send_and_wait(topic, b"after it", partition=0)
            await producer.send_and_wait(topic, b"elsewhere", partition=1)
            await eventually(lambda: recorder.has(b"elsewhere"), "other partitions continue")
            assert recorder.values == [b"elsewhere"]
            await transactional.commit_transaction()
            await eventually(lambda: recorder.has(b"open", b"after it"), "all committed records handled")
            assert b"aborted" not in recorder.values

            async def is_at_the_end() -> bool:
                return consumer.reached().get(0) == 5  # two transaction markers are records too

            await eventually(is_at_the_end, "the end is reached although the last record is a marker")
    finally:
        await transactional.stop()


async def test_names_of_headers_are_published_as_they_came(installation: Installation) -> None:
    settings = installation.settings(KitSettings)
    topic = installation.topics.commands
    publisher = Publisher(lambda: make_producer(settings))
    headers: Any = (("plain", b"1"), (ODD_NAME, b"\xff"), ("null", None))
    records = [OutgoingRecord(topic, b"k", b"%d" % number, headers if number % 2 else (), 0) for number in range(5)]
    reader = make_reader(settings, auto_offset_reset="earliest")
    try:
        await publisher.publish(records)
        await publisher.publish([OutgoingRecord(topic, b"k", b"last", (), 0)])
        await reader.start()
        topic_partition = TopicPartition(topic, 0)
        reader.assign([topic_partition])
        reader.seek(topic_partition, 0)
        found = [await reader.getone() for _ in range(6)]
    finally:
        await reader.stop()
        await publisher.stop()
    assert [record.value for record in found] == [b"0", b"1", b"2", b"3", b"4", b"last"]
    assert found[1].headers == headers
    assert found[0].headers == found[2].headers == ()


async def test_a_fault_in_a_poll_skips_no_record(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, is_broken = Recorder(), True

    class Failing(Fetched):
        def _read(self) -> Any:
            nonlocal is_broken
            if is_broken and self._topic_partition.partition == 1:
                is_broken = False
                raise ValueError("a fault of ours")
            return super()._read()

    monkeypatch.setattr(reading, "Fetched", Failing)
    for partition in range(3):
        await put(installation, partition, batch(b"%d" % partition))
    async with consuming(installation, recorder):
        await eventually(partial(recorder.has, b"0", b"1", b"2"), "all records handled")
    assert not is_broken
