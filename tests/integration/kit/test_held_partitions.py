"""A consumer handles nothing of a partition that has to wait, and loses nothing of it."""

import asyncio
from collections.abc import Mapping, Sequence

from tests.support.consuming import Recorder, consuming
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.waiting import eventually
from triptych.kit.failures import OwnershipLost
from triptych.kit.kafka.reading.reader import IncomingRecord

HELD = 2


class Gate:
    """Holds partitions as it is told."""

    def __init__(self, *partitions: int) -> None:
        self.partitions = set(partitions)

    async def held(self, partitions: frozenset[int]) -> Mapping[int, str]:
        return dict.fromkeys(partitions & self.partitions, "the test says so")


class Worker(Recorder):
    """Records the values by partition, and the partitions that it was prepared for."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared: frozenset[int] = frozenset()
        self.of: dict[int, list[bytes]] = {}
        self.loses = False

    async def assigned(self, partitions: frozenset[int]) -> None:
        self.prepared = partitions
        await super().assigned(partitions)

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        if self.loses:
            raise OwnershipLost("the test says so")
        for record in records:
            assert record.partition in self.prepared
            self.of.setdefault(record.partition, []).append(record.value)


async def put(installation: Installation, first: int, last: int) -> None:
    """Publish these numbers to each of three partitions."""
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        for number in range(first, last):
            for partition in range(3):
                await producer.send(installation.topics.commands, str(number).encode(), partition=partition)
        await producer.flush()


def values(last: int) -> list[bytes]:
    return [str(number).encode() for number in range(last)]


async def test_a_held_partition_waits_while_the_others_are_handled(installation: Installation) -> None:
    worker, gate = Worker(), Gate(HELD)
    await put(installation, 0, 20)
    async with consuming(installation, worker, gate) as consumer:

        async def others_are_done(last: int) -> bool:
            return all(worker.of.get(partition, [])[-1:] == [str(last - 1).encode()] for partition in (0, 1))

        await eventually(lambda: others_are_done(20), "the other partitions are handled")
        assert worker.prepared == {0, 1}
        assert worker.of == {0: values(20), 1: values(20)}
        assert set(consumer.reached()) == {0, 1}
        assert consumer.reached(also_held=True)[HELD] == 0
        await put(installation, 20, 30)
        await eventually(lambda: others_are_done(30), "more is handled")
        gate.partitions.clear()
        await consumer.prepare_again()

        async def all_is_done() -> bool:
            return worker.of.get(HELD, []) == values(30)

        await eventually(all_is_done, "the held partition is handled, from its first record on")
        assert worker.of == dict.fromkeys(range(3), values(30))


async def test_a_batch_in_progress_gives_back_a_partition_that_has_to_wait_from_now_on(
    installation: Installation,
) -> None:
    worker, gate = Worker(), Gate()
    worker.loses = True
    async with consuming(installation, worker, gate) as consumer:
        await put(installation, 0, 10)

        async def is_tried_again() -> bool:
            return worker.preparations > 2

        await eventually(is_tried_again, "the batch is tried again")
        gate.partitions.add(HELD)

        async def is_held() -> bool:
            return set(consumer.held) == {HELD}

        await eventually(is_held, "the partition is held")
        worker.loses = False

        async def others_are_done() -> bool:
            return all(len(worker.of.get(partition, [])) >= 10 for partition in (0, 1))

        await eventually(others_are_done, "the other partitions are handled")
        await asyncio.sleep(0.3)
        assert HELD not in worker.of
        gate.partitions.clear()
        await consumer.prepare_again()

        async def all_is_done() -> bool:
            return worker.of.get(HELD, []) == values(10)

        await eventually(all_is_done, "nothing of the held partition is lost")
        for partition in (0, 1):  # a repeat is allowed, a gap is not
            assert list(dict.fromkeys(worker.of[partition])) == values(10)
