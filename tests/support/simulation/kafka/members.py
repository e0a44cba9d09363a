"""Members of consumer groups, and the broker of FastStream that runs them, as the simulated services use them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownMemberIdError

from tests.support.simulation.kafka.broker import Broker
from triptych.kit.kafka.reading.reader import IncomingRecord

HEARTBEAT_SECONDS, POLL_SECONDS, PAUSE_SECONDS = 0.5, 1.0, 0.1


class GroupReader:
    """The consumer that a `BatchConsumer` polls, with its membership."""

    def __init__(self, broker: Broker, topic: str, group: str, listener: ConsumerRebalanceListener) -> None:
        self._broker = broker
        self._topic = topic
        self._group = broker.group(group, topic)
        self._listener = listener
        self._member_id: str | None = None
        self._generation = 0
        self._assigned: frozenset[int] = frozenset()
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._has_new_partitions = False
        self._client = None
        """Asked for facts of topics, which the model does not need."""

    async def membership(self) -> None:
        """Be a member until cancelled."""
        while True:
            try:
                if self._assigned or self._generation:
                    revoked, self._assigned, self._positions = self._assigned, frozenset(), {}
                    self._paused.clear()
                    with contextlib.suppress(Exception):  # aiokafka logs it
                        await self._listener.on_partitions_revoked(self._as_partitions(revoked))
                member_id, joined = await self._broker.call(lambda: self._group.join(self._member_id))
                self._member_id = member_id
                self._generation, assigned = await joined
                offsets = await self._broker.call(lambda: dict(self._group.offsets))
                logs = self._broker.topics[self._topic]
                self._assigned = assigned
                self._positions = {one: max(offsets.get(one, 0), logs[one].beginning) for one in sorted(assigned)}
                await self._listener.on_partitions_assigned(self._as_partitions(assigned))
                self._has_new_partitions = False
                while await self._broker.call(self._heartbeat) and not self._has_new_partitions:
                    await asyncio.sleep(HEARTBEAT_SECONDS)
            except UnknownMemberIdError:
                self._member_id = None
            except KafkaError:
                await asyncio.sleep(PAUSE_SECONDS)

    def _heartbeat(self) -> bool:
        return self._group.heartbeat(self._member_id or "", self._generation)

    async def leave(self) -> None:
        """End the membership."""
        if (member_id := self._member_id) is not None:
            await self._broker.call(lambda: self._group.leave(member_id))

    async def poll(self, most: int, moved: Callable[[Sequence[IncomingRecord]], None]) -> Sequence[IncomingRecord]:
        """The next records of some partitions; `moved` is called when the positions move past them."""
        broker = self._broker
        generation = self._generation
        wanted = [one for one in sorted(self._assigned) if one not in self._paused]
        broker.chance.shuffle(wanted)
        at = {one: self._positions[one] for one in wanted}
        count = broker.chance.randint(1, most)

        def fetch() -> dict[int, Sequence[IncomingRecord]]:
            left, found = count, {}
            for partition, offset in at.items():
                found[partition] = records = broker.topics[self._topic][partition].read(offset, left)
                left -= len(records)
            return found

        fetched = await broker.call(fetch) if at else {}
        records: list[IncomingRecord] = []
        for partition, some in fetched.items():
            is_ours = generation == self._generation and partition in self._assigned and partition not in self._paused
            if some and is_ours and self._positions.get(partition) == at[partition]:
                self._positions[partition] = some[-1].offset + 1
                records += some
        moved(records)
        if not records:
            await broker.wait_for_records([self._topic], POLL_SECONDS)
        return records

    def positions(self) -> Mapping[TopicPartition, int]:
        """The offset of the next record, by assigned partition."""
        return {TopicPartition(self._topic, one): offset for one, offset in self._positions.items()}

    def assignment(self) -> set[TopicPartition]:
        """The assigned partitions."""
        return self._as_partitions(self._assigned)

    def pause(self, *partitions: TopicPartition) -> None:
        """Fetch nothing from these."""
        self._paused.update(one.partition for one in partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        """Fetch from these again."""
        self._paused.difference_update(one.partition for one in partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from here."""
        if partition.partition in self._positions:
            self._positions[partition.partition] = offset

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit offsets, as often as it takes. Raises KafkaError if the broker refuses them."""
        member_id, generation = self._member_id or "", self._generation
        wanted = {one.partition: offset for one, offset in offsets.items()}
        while True:
            try:
                return await self._broker.call(lambda: self._group.commit(member_id, generation, wanted))
            except KafkaConnectionError:
                await asyncio.sleep(PAUSE_SECONDS)

    async def committed(self, partition: TopicPartition) -> int | None:
        """The committed offset. Raises KafkaError."""
        return await self._broker.call(lambda: self._group.offsets.get(partition.partition))

    def look_for_partitions(self, topic: str, count: int) -> None:
        """Join again if partitions were added that the group has not divided yet."""
        self._has_new_partitions = self._group.divided < min(count, len(self._broker.topics[topic]))

    def _as_partitions(self, numbers: frozenset[int]) -> set[TopicPartition]:
        return {TopicPartition(self._topic, number) for number in numbers}


class Subscription:
    """What FastStream's broker runs for a `BatchConsumer`: polls, and hands over one batch after another."""

    def __init__(
        self,
        reader: GroupReader,
        consume: Callable[[Sequence[IncomingRecord]], Awaitable[None]],
        on_batch: Callable[[Sequence[IncomingRecord]], None],
        on_poll_error: Callable[[Exception], None],
        most: int,
    ) -> None:
        self._reader = reader
        self._consume = consume
        self._on_batch = on_batch
        self._on_poll_error = on_poll_error
        self._most = most
        self.consumer: GroupReader | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Join the group and poll."""
        self.consumer = self._reader
        self._tasks = [asyncio.create_task(self._reader.membership()), asyncio.create_task(self._run())]

    async def stop(self) -> None:
        """End the membership and the polls."""
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        with contextlib.suppress(KafkaError):
            await self._reader.leave()

    async def _run(self) -> None:
        while True:
            try:
                records = await self._reader.poll(self._most, self._on_batch)
            except KafkaError as error:
                self._on_poll_error(error)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if records:
                await self._consume(records)


class SubscribingBroker:
    """Instead of FastStream's broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._subscriptions: list[Subscription] = []

    def add(self, subscription: Subscription) -> None:
        """Run this subscription once the broker has started."""
        self._subscriptions.append(subscription)

    async def start(self) -> None:
        """Start the subscriptions."""
        for subscription in self._subscriptions:
            subscription.start()

    async def stop(self) -> None:
        """Stop the subscriptions."""
        for subscription in self._subscriptions:
            await subscription.stop()


def subscribe(
    broker: SubscribingBroker,
    topic: str,
    group: str,
    consume: Callable[[Sequence[IncomingRecord]], Awaitable[None]],
    on_batch: Callable[[Sequence[IncomingRecord]], None],
    on_poll_error: Callable[[Exception], None],
    listener: ConsumerRebalanceListener,
    *,
    max_records: int,
    **_: Any,
) -> Subscription:
    """Instead of `triptych.kit.kafka.reading.subscription.subscribe`."""
    reader = GroupReader(broker.broker, topic, group, listener)
    made = Subscription(reader, consume, on_batch, on_poll_error, max_records)
    broker.add(made)
    return made
