"""Says which partition a key has, also while and after partitions are added to live topics (pure; decision 40).

All topics of an installation have the same number of partitions. It grows only by a factor: so a key either stays on
its partition or moves from partition `p` to a new one, `p` plus a multiple of the former number. A growth records where
the partitions of a topic ended at that moment. Records before these ends were placed by the former number.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from triptych.kit.kafka.partitions import partition_of


class Waits(NamedTuple):
    """What has to be finished before a new partition is handled: the offsets below `end` of a former partition."""

    partition: int
    end: int


@dataclass(frozen=True, slots=True)
class TopicEnds:
    """Where a topic ended at a growth: the offset after the last record by former partition, and the topic's id."""

    topic_id: str
    offsets: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Growth:
    """One growth, from `former` partitions to `partitions`.

    `ends` has the topics in which records of a key moved, by their names without the prefix.
    """

    former: int
    partitions: int
    ends: Mapping[str, TopicEnds]


@dataclass(frozen=True, slots=True)
class Layout:
    """The number of partitions of an installation's topics, and how it became that number, oldest growth first.

    Attributes:
        growing_to: the number of partitions that are being added to reach; None if none are.
        is_stopped: whether nobody may write, because a growth takes effect at this moment.
    """

    partitions: int
    growths: tuple[Growth, ...] = ()
    growing_to: int | None = None
    is_stopped: bool = False

    def of_topic(self, topic: str, topic_id: str | None) -> "TopicLayout":
        """The layout of one topic. The ends of a topic with another id are those of a topic that was deleted."""
        ends = [
            (growth, found.offsets if (found := growth.ends.get(topic)) and found.topic_id == topic_id else {})
            for growth in self.growths
        ]
        return TopicLayout(self.partitions, tuple((growth.former, offsets) for growth, offsets in ends))

    def is_former_place(self, key: bytes, partition: int) -> bool:
        """Whether the records of this key were on this partition before a growth, and are no longer."""
        return bool(self.growths) and partition != partition_of(key, self.partitions)

    def places(self, key: bytes) -> set[int]:
        """Every partition on which records of this key may be."""
        counts = (*(growth.former for growth in self.growths), self.partitions)
        return {partition_of(key, count) for count in counts}


@dataclass(frozen=True, slots=True)
class TopicLayout:
    """The layout of one topic; `formers` has the former numbers with the ends of their partitions, oldest first."""

    partitions: int
    formers: tuple[tuple[int, Mapping[int, int]], ...] = ()

    def count_at(self, partition: int, offset: int) -> int:
        """The number of partitions by which the record at this offset belongs to its partition."""
        for former, ends in self.formers:
            if offset < ends.get(partition, 0):
                return former
        return self.partitions

    def waits(self, partition: int) -> Waits | None:
        """What has to be finished before records of this partition may be handled; None if nothing has to be."""
        for former, ends in reversed(self.formers):
            if partition >= former:
                end = ends.get(partition % former, 0)
                return Waits(partition % former, end) if end else None
        return None

    def ends(self) -> Mapping[int, int]:
        """The highest end of each former partition: all that any partition waits for."""
        return {partition: end for _, ends in self.formers for partition, end in ends.items()}


class LiveCounts(Mapping[str, int]):
    """The number of partitions of each topic of an installation, by name. It changes when `partitions` is set."""

    def __init__(self, topics: Iterable[str], partitions: int) -> None:
        self._topics = frozenset(topics)
        self.partitions = partitions

    def __getitem__(self, topic: str) -> int:
        if topic not in self._topics:
            raise KeyError(topic)
        return self.partitions

    def __iter__(self) -> Iterator[str]:
        return iter(self._topics)

    def __len__(self) -> int:
        return len(self._topics)

    def place(self, key: str) -> int:
        """The partition of a key."""
        return partition_of(key.encode(), self.partitions)
