"""`BatchConsumer` on a real broker: records that fail, dependencies that are away, and rebalances."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.commands import header
from tests.support.consuming import Recorder, consuming, group_of
from tests.support.installation import Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.waiting import eventually
from triptych.kit.failures import OwnershipLost, TransientFailure

pytestmark = pytest.mark.only_topics("commands", "commands.dead-letter")


async def test_a_record_that_breaks_the_handler_is_dead_lettered_and_its_neighbours_are_handled(
    installation: Installation,
) -> None:
    topics = installation.topics

    def fail(value: bytes) -> None:
        if value == b"poison":
            raise ValueError("a fault of ours")

    recorder = Recorder(fail)
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        for value in (b"a", b"poison", b"b"):
            await producer.send_and_wait(topics.commands, value, partition=1, headers=[("h", b"\xff")])
    async with (
        consuming(installation, recorder),
        topic_reader(installation.addresses.kafka_bootstrap, topics.dead_letter(topics.commands)) as letters,
    ):
        await eventually(lambda: recorder.has(b"a", b"b"), "neighbours handled")
        (letter,) = await letters.read_count(1)
    assert letter.value == b"poison"
    assert ("h", b"\xff") in letter.headers
    assert header(letter, "dead-letter-reason") == "handler-failed"
    assert header(letter, "dead-letter-error") == "ValueError('a fault of ours')"
    assert header(letter, "dead-letter-attempts") == "3"
    assert recorder.values == [b"a", b"b"]


async def test_a_dependency_that_is_away_delays_everything_and_loses_nothing(installation: Installation) -> None:
    away = True

    def fail(_value: bytes) -> None:
        if away:
            raise TransientFailure("away")

    recorder = Recorder(fail)
    async with (
        raw_producer(installation.addresses.kafka_bootstrap) as producer,
        consuming(installation, recorder) as consumer,
    ):
        for value in (b"1", b"2", b"3"):
            await producer.send_and_wait(installation.topics.commands, value, partition=0)

        async def has_problem() -> bool:
            return consumer.problem == "away"

        await eventually(has_problem, "the consumer reports the problem")
        assert recorder.values == []
        away = False
        await eventually(lambda: recorder.has(b"1", b"2", b"3"), "all handled")

        async def has_recovered() -> bool:
            return consumer.problem is None

        await eventually(has_recovered, "the problem is over")
    assert recorder.values == [b"1", b"2", b"3"]


async def test_what_was_not_finished_is_handled_by_the_next_member(installation: Installation) -> None:
    def fail(_value: bytes) -> None:
        raise TransientFailure("away")

    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        await producer.send_and_wait(installation.topics.commands, b"unfinished", partition=2)
        async with consuming(installation, Recorder(fail)) as consumer:

            async def has_problem() -> bool:
                return consumer.problem == "away"

            await eventually(has_problem, "the first member has the record")
        second = Recorder()
        async with consuming(installation, second):
            await eventually(lambda: second.has(b"unfinished"), "the second member handles it")
            await producer.send_and_wait(installation.topics.commands, b"later", partition=2)
            await eventually(lambda: second.has(b"later"), "and what follows")
        third = Recorder()
        async with consuming(installation, third):
            await producer.send_and_wait(installation.topics.commands, b"last", partition=2)
            await eventually(lambda: third.has(b"last"), "offsets were committed")
        assert third.values == [b"last"]


async def test_offsets_are_committed_while_records_keep_coming(installation: Installation) -> None:
    topics, bootstrap = installation.topics, installation.addresses.kafka_bootstrap
    topic_partition, group = TopicPartition(topics.commands, 1), group_of(installation)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with raw_producer(bootstrap) as producer, consuming(installation, Recorder()):

            async def are_committed() -> bool:
                await producer.send_and_wait(topics.commands, b"x", partition=1)
                offsets = await admin.list_consumer_group_offsets(group, partitions=[topic_partition])
                return bool(offsets[topic_partition].offset > 2)

            await eventually(are_committed, "offsets are committed although records keep coming")
    finally:
        await admin.close()


async def test_lost_ownership_is_prepared_again_before_the_next_try(installation: Installation) -> None:
    lost = True

    def fail(_value: bytes) -> None:
        nonlocal lost
        if lost:
            lost = False
            raise OwnershipLost("another owner")

    recorder = Recorder(fail)
    async with (
        raw_producer(installation.addresses.kafka_bootstrap) as producer,
        consuming(installation, recorder),
    ):
        await producer.send_and_wait(installation.topics.commands, b"x", partition=0)
        await eventually(lambda: recorder.has(b"x"), "handled after all")
        assert recorder.preparations == 2


async def test_two_members_share_the_topic_and_a_leaving_one_hands_over(installation: Installation) -> None:
    first, second = Recorder(), Recorder()
    sent = 0

    async def send(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            await producer.send_and_wait(installation.topics.commands, str(sent).encode(), partition=sent % 3)
            sent += 1

    async def all_seen() -> bool:
        return {int(value) for value in (*first.values, *second.values)} == set(range(sent))

    async with (
        raw_producer(installation.addresses.kafka_bootstrap) as producer,
        consuming(installation, second),
    ):
        async with consuming(installation, first):

            async def shared() -> bool:
                await send(3)
                await asyncio.sleep(0.05)
                return bool(first.values) and bool(second.values)

            await eventually(shared, "both members get records")
        await send(9)
        await eventually(all_seen, "the remaining member handles everything")
