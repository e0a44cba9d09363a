"""What Kafka does for a consumer and a publisher of the services: one scenario for the model and a real broker."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher

PARTITIONS, GROWN_PARTITIONS = 3, 6
GROUP = "simulated"
KEYS = [f"key-{number}".encode() for number in range(6)]


class Kafka(Protocol):
    """A model of Kafka, or a real one. `topic` has three partitions."""

    topic: str

    def broker(self) -> Any:
        """A broker for one consumer."""

    def publisher(self) -> Publisher:
        """A publisher."""

    def offsets(self) -> Any:
        """`GroupOffsets` of the topic and the group `GROUP`."""

    async def expire(self, partition: int, offset: int) -> None:
        """Delete the records of a partition before an offset."""

    async def grow(self, partitions: int) -> None:
        """Add partitions to the topic."""


class Member:
    """A consumer whose handler keeps what it is told; with `is_stuck`, it finishes no batch."""

    def __init__(self, kafka: Kafka, publisher: Publisher) -> None:
        self.partitions: frozenset[int] = frozenset()
        self.seen: dict[int, list[tuple[int, bytes | None, bytes | None, tuple[Any, ...]]]] = {}
        self.is_stuck = False
        self._broker = kafka.broker()
        letters = DeadLetterPublisher(publisher, lambda topic: topic)
        prefix = kafka.topic.partition(".")[0]
        self._consumer = BatchConsumer(self._broker, kafka.topic, f"{prefix}.{GROUP}", self, letters)

    async def __aenter__(self) -> "Member":
        await self._broker.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.give_up()
        await self._broker.stop()

    async def assigned(self, partitions: frozenset[int]) -> None:
        self.partitions = partitions

    async def released(self) -> None:
        self.partitions = frozenset()

    async def lost(self, unreadable: Sequence[Any]) -> None:
        """There are none."""

    async def handle(self, records: Sequence[Any]) -> None:
        for record in records:
            seen = (record.offset, record.key, record.value, tuple(record.headers))
            self.seen.setdefault(record.partition, []).append(seen)
        if self.is_stuck:
            raise TransientFailure("stuck")

    def look_for_partitions(self) -> None:
        """Let the group divide partitions that were added."""
        if self._consumer.reader is not None:
            self._consumer.reader.look_for_partitions(self._consumer.topic, GROWN_PARTITIONS)

    def count(self) -> int:
        """How many different records were seen."""
        return sum(len({offset for offset, *_ in seen}) for seen in self.seen.values())


def seen_by(*members: Member) -> dict[int, list[Any]]:
    """The different records that members have seen until now: Kafka chooses which member gets a partition."""
    partitions = {partition for member in members for partition in member.seen}
    return {each: sorted({one for member in members for one in member.seen.get(each, ())}) for each in partitions}


async def until(is_true: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    """Wait until this is true."""
    async with asyncio.timeout(40):
        while True:
            found = is_true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


async def scenario(kafka: Kafka) -> Any:
    """Publish and consume, while members join, leave and fail; what was seen."""
    publisher, offsets = kafka.publisher(), kafka.offsets()
    seen: list[Any] = []
    everything = frozenset(range(PARTITIONS))

    async def publish(name: str) -> None:
        await publisher.publish(
            [
                OutgoingRecord(kafka.topic, key, f"{name} {step}".encode(), (("h", b"1"),))
                for step in (1, 2)
                for key in KEYS
            ]
        )

    async def is_committed() -> bool:
        ends = await offsets.ends(everything)
        return bool({**dict.fromkeys(everything, 0), **await offsets.committed()} == ends)

    await publish("first")
    seen.append(await publisher.partitions(kafka.topic))
    async with Member(kafka, publisher) as first:
        await until(lambda: first.count() == 2 * len(KEYS))
        seen += [first.partitions == everything, seen_by(first)]
        await until(is_committed)
        async with Member(kafka, publisher) as second:
            await until(lambda: bool(first.partitions and second.partitions and first.partitions != everything))
            seen += [first.partitions | second.partitions == everything, first.partitions & second.partitions]
            await publish("second")
            await until(lambda: first.count() + second.count() == 4 * len(KEYS))
            await until(is_committed)
            seen += [second.seen.keys() <= second.partitions, seen_by(first, second)]
        await until(lambda: first.partitions == everything)
    async with Member(kafka, publisher) as stuck:
        stuck.is_stuck = True
        await publish("third")
        await until(lambda: stuck.count() > 0)
    seen.append(await is_committed())
    # The stuck member has finished nothing, so the next one begins where the others have ended.
    cut = partition_of(KEYS[0], PARTITIONS)
    await kafka.expire(cut, (await offsets.ends([cut]))[cut] - 1)
    async with Member(kafka, publisher) as last:
        await until(is_committed)
        seen += [seen_by(last), await offsets.beginnings(everything), await offsets.ends(everything)]
        await kafka.grow(GROWN_PARTITIONS)

        def has_all() -> bool:
            last.look_for_partitions()
            return len(last.partitions) == GROWN_PARTITIONS

        await until(has_all)
        seen.append(await offsets.all_ends())
        with contextlib.suppress(TransientFailure):
            await offsets.commit({cut: 1})
            seen.append("a group with members takes offsets from others")
    await offsets.commit({cut: 1})
    seen.append((await offsets.committed())[cut])
    await offsets.stop()
    await publisher.stop()
    return seen
