"""A Kafka broker on the simulated network: topics of partitions, and consumer groups."""

import asyncio
import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiokafka import ConsumerRecord
from aiokafka.errors import IllegalGenerationError, KafkaConnectionError, UnknownMemberIdError

from tests.support.simulation.clocks import wall_clock
from tests.support.simulation.loop import OUTSIDE, SimulatedLoop, current_process
from tests.support.simulation.network import Network

T = TypeVar("T")
Headers = tuple[tuple[str, bytes], ...]


def record(
    topic: str, partition: int, offset: int, milliseconds: int, key: bytes | None, value: bytes | None, headers: Headers
) -> ConsumerRecord[Any, Any]:
    """A record as a consumer gets it."""
    return ConsumerRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=milliseconds,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key or b""),
        serialized_value_size=len(value or b""),
        headers=headers,
    )


@dataclass
class Log:
    """One partition. Its records begin at offset `beginning` or later; `end` is the offset of the next one."""

    records: list[ConsumerRecord[Any, Any]] = field(default_factory=list)
    beginning: int = 0
    end: int = 0

    def read(self, offset: int, count: int) -> Sequence[ConsumerRecord[Any, Any]]:
        """Up to `count` records from an offset on."""
        start = self._index(offset)
        return self.records[start : start + count]

    def add(self, made: ConsumerRecord[Any, Any]) -> None:
        """Append a record."""
        self.records.append(made)
        self.end = made.offset + 1

    def expire(self, offset: int) -> None:
        """Delete the records before an offset."""
        if offset > self.beginning:
            del self.records[: self._index(offset)]
            self.beginning = offset

    def compact(self, offset: int) -> None:
        """Delete each record before an offset that is not the last one of its key. No other offset changes."""
        last = {record.key: record.offset for record in self.records}
        self.records = [one for one in self.records if one.offset >= offset or last[one.key] == one.offset]

    def _index(self, offset: int) -> int:
        """The index of the first record with this offset or a higher one."""
        index = offset - self.beginning
        if len(self.records) == self.end - self.beginning:  # there are no gaps
            return max(0, index)
        return bisect_left(self.records, offset, key=lambda one: one.offset)


class Broker:
    """All topics and groups of the cluster."""

    def __init__(self, loop: SimulatedLoop, chance: random.Random, network: Network) -> None:
        self.loop = loop
        self.chance = chance
        self.network = network
        self.topics: dict[str, list[Log]] = {}
        self.configurations: dict[str, dict[str, str | None]] = {}
        """What topics are configured with, where it was changed."""
        self.groups: dict[str, Group] = {}
        self.appended: list[Callable[[ConsumerRecord[Any, Any]], None]] = []
        """Called with each record that is appended."""
        self._sequences: dict[tuple[int, str, int], int] = {}
        self._producers = 0
        self._polls: dict[str, list[asyncio.Future[None]]] = {}

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic."""
        self.topics[topic] = [Log() for _ in range(partitions)]

    def grow(self, partitions: Mapping[str, int]) -> None:
        """Add partitions to topics until each has this number."""
        for topic, count in partitions.items():
            logs = self.topics[topic]
            logs += [Log() for _ in range(count - len(logs))]

    def expire(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Delete the records before these offsets, by partition."""
        for number, offset in offsets.items():
            self.topics[topic][number].expire(offset)

    def group(self, name: str, topic: str) -> "Group":
        """The consumer group of this name, which reads one topic."""
        return self.groups.setdefault(name, Group(self, topic))

    def new_producer(self) -> int:
        """An id for a producer."""
        self._producers += 1
        return self._producers

    def append(self, topic: str, partition: int, entries: Sequence[tuple[bytes | None, bytes | None, Headers]]) -> None:
        """Append records."""
        log = self.topics[topic][partition]
        for key, value, headers in entries:
            made = record(topic, partition, log.end, int(wall_clock(self.loop) * 1000), key, value, headers)
            log.add(made)
            for tell in self.appended:
                tell(made)
        for poll in self._polls.pop(topic, ()):
            if not poll.done():
                poll.set_result(None)

    def append_once(
        self,
        producer: int,
        sequence: int,
        topic: str,
        partition: int,
        entries: Sequence[tuple[bytes | None, bytes | None, Headers]],
    ) -> None:
        """Append the batch of an idempotent producer, unless it was appended before."""
        place = (producer, topic, partition)
        if sequence > self._sequences.get(place, -1):
            self._sequences[place] = sequence
            self.append(topic, partition, entries)

    async def call(self, work: Callable[[], T]) -> T:
        """Carry out one request of the current process; `work` runs on the broker, at once.

        Raises:
            KafkaConnectionError: the request or its answer was lost.
            KafkaError: of the broker.
        """
        process = current_process()
        answer: asyncio.Future[T] = self.loop.create_future()
        fate = self.network.fate(process)

        def arrive() -> None:
            result: Any = None
            error: Exception | None = None
            if fate.is_lost:
                error = KafkaConnectionError("the connection was closed")
            else:
                try:
                    result = work()
                except Exception as raised:  # noqa: BLE001 - goes to the caller
                    error = raised
                if fate.is_unanswered:
                    error = KafkaConnectionError("the answer was lost")

            def give() -> None:
                if answer.done():
                    return
                if error is None:
                    answer.set_result(result)
                else:
                    answer.set_exception(error)

            self.later(give, fate.back)

        if process is not None and process.is_dead:
            raise asyncio.CancelledError
        self.later(arrive, fate.there)
        return await answer

    async def wait_for_records(self, topics: Iterable[str], seconds: float) -> None:
        """Wait until a record is appended to one of these topics, for at most this long."""
        poll: asyncio.Future[None] = self.loop.create_future()
        topics = list(topics)
        for topic in topics:
            self._polls.setdefault(topic, []).append(poll)

        def end() -> None:
            if not poll.done():
                poll.set_result(None)

        timer = self.loop.call_later(seconds, end, context=OUTSIDE)
        try:
            await poll
        finally:
            timer.cancel()
            for topic in topics:
                if poll in (polls := self._polls.get(topic, [])):
                    polls.remove(poll)

    def later(self, work: Callable[[], object], seconds: float) -> None:
        """Do something outside of all processes."""
        self.loop.call_later(seconds, work, context=OUTSIDE)


@dataclass(eq=False)
class Member:
    """A member of a group; `joining` is set while it waits for the next generation."""

    member_id: str
    seen_at: float
    joining: asyncio.Future[tuple[int, frozenset[int]]] | None = None
    partitions: frozenset[int] = frozenset()


class Group:
    """A consumer group: its members, its generation, and its committed offsets."""

    SESSION_SECONDS, REBALANCE_SECONDS, FIRST_SECONDS = 6.0, 9.0, 0.05

    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker = broker
        self._topic = topic
        self.members: dict[str, Member] = {}
        self.generation = 0
        self.divided = 0
        """How many partitions the members of this generation have got, all together."""
        self.offsets: dict[int, int] = {}
        self._rebalance: object | None = None
        self._joined = 0

    def join(self, member_id: str | None) -> tuple[str, asyncio.Future[tuple[int, frozenset[int]]]]:
        """Join, or join again; the future has the generation and the member's partitions."""
        if member_id is None or member_id not in self.members:
            self._joined += 1
            member_id = f"member-{self._joined:04}"
            self.members[member_id] = Member(member_id, self._broker.loop.time())
            self._watch(self.members[member_id])
        member = self.members[member_id]
        member.joining = self._broker.loop.create_future()
        self._begin()
        self._complete_if_all()
        return member_id, member.joining

    def heartbeat(self, member_id: str, generation: int) -> bool:
        """Note that a member lives; whether its generation is still the present one.

        Raises:
            UnknownMemberIdError: it was expelled.
        """
        member = self.members.get(member_id)
        if member is None:
            raise UnknownMemberIdError(member_id)
        member.seen_at = self._broker.loop.time()
        return self._rebalance is None and generation == self.generation

    def leave(self, member_id: str) -> None:
        """End a membership."""
        if self.members.pop(member_id, None) is not None:
            self._begin()
            self._complete_if_all()

    def commit(self, member_id: str, generation: int, offsets: dict[int, int]) -> None:
        """Commit offsets. Raises KafkaError if the member is not one of the present generation."""
        if member_id not in self.members:
            raise UnknownMemberIdError(member_id)
        if generation != self.generation:
            raise IllegalGenerationError(member_id)
        self.offsets.update(offsets)

    def commit_from_outside(self, offsets: dict[int, int]) -> None:
        """Commit offsets in the name of nobody. Raises KafkaError if the group has members."""
        if self.members:
            raise UnknownMemberIdError("the group has members")
        self.offsets.update(offsets)

    def _begin(self) -> None:
        if self._rebalance is None and self.members:
            self._rebalance = token = object()
            is_new = all(member.joining is not None for member in self.members.values())
            seconds = self.FIRST_SECONDS if is_new else self.REBALANCE_SECONDS
            self._broker.later(lambda: self._complete(token), seconds)

    def _complete_if_all(self) -> None:
        if self.members and all(member.joining is not None for member in self.members.values()):
            token = self._rebalance
            self._broker.later(lambda: self._complete(token), self._broker.network.seconds())

    def _complete(self, token: object) -> None:
        if token is None or self._rebalance is not token:
            return
        self._rebalance = None
        self.members = {name: member for name, member in self.members.items() if member.joining is not None}
        if not self.members:
            return
        self.generation += 1
        names = sorted(self.members)
        count = self.divided = len(self._broker.topics[self._topic])
        for number, name in enumerate(names):
            member = self.members[name]
            member.partitions = frozenset(range(number, count, len(names)))
            joining, member.joining = member.joining, None
            member.seen_at = self._broker.loop.time()
            if joining is not None and not joining.done():
                joining.set_result((self.generation, member.partitions))

    def _watch(self, member: Member) -> None:
        def look() -> None:
            if self.members.get(member.member_id) is not member:
                return
            silent = self._broker.loop.time() - member.seen_at
            if member.joining is None and silent >= self.SESSION_SECONDS:
                self.leave(member.member_id)
                return
            wait = self.SESSION_SECONDS if member.joining is not None else self.SESSION_SECONDS - silent
            self._broker.later(look, max(0.1, wait))

        self._broker.later(look, self.SESSION_SECONDS)
