"""Finds, purely, which events expired before the relay planned their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from triptych.kit.kafka.consuming.gaps import NextOffsets, OffsetRange, ends_of
from triptych.kit.kafka.reading.reader import IncomingRecord


@dataclass(frozen=True, slots=True)
class ExpiredRange:
    """Events of a partition that can no longer be planned: from offset `first` up to, but without, `end`."""

    partition: int
    first: int
    end: int
    is_topic_new: bool = False
    """Whether the topic ends before `end`: it was deleted and created again."""

    @property
    def count(self) -> int:
        """The largest possible number of these events; 0 if it is unknown."""
        return 0 if self.is_topic_new else self.end - self.first

    def __str__(self) -> str:
        if self.is_topic_new:
            return (
                f"partition {self.partition} of the events topic was created again: "
                f"it ends at {self.first}, before the relay's offset {self.end}"
            )
        return (
            f"events {self.first} to {self.end - 1} of partition {self.partition} "
            "have expired before their deliveries were planned"
        )


class PlannedOffsets:
    """The next offset to plan, for each assigned partition."""

    def __init__(self) -> None:
        self._next = NextOffsets()

    def begin(
        self, committed: Mapping[int, int], beginnings: Mapping[int, int], ends: Mapping[int, int]
    ) -> list[ExpiredRange]:
        """Start at the committed offsets or at the beginning of the topic; the ranges that have expired.

        Args:
            committed: the group's offset by partition. A partition without one counts from 0.
            beginnings: the first offset that the topic still has, by assigned partition.
            ends: the offset after the last record, by partition.
        """
        offsets = {partition: committed.get(partition, 0) for partition in beginnings}
        new = [
            ExpiredRange(partition, ends[partition], offset, is_topic_new=True)
            for partition, offset in offsets.items()
            if offset > ends[partition]
        ]
        begun = self._next.begin(offsets | {one.partition: beginnings[one.partition] for one in new}, beginnings)
        return [*(ExpiredRange(*expired) for expired in begun), *new]

    def gaps(self, records: Sequence[IncomingRecord]) -> list[OffsetRange]:
        """The ranges of offsets that are missing before or between these records. Not all offsets need be events."""
        return self._next.gaps(records)

    def finish(self, records: Sequence[IncomingRecord]) -> None:
        """Mark these records as planned."""
        self._next.advance(ends_of(records))
