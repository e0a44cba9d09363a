"""Finds, purely, which events expired before the relay planned their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from triptych.kit.kafka.publishing.dead_letters import IncomingRecord


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
        self._next: dict[int, int] = {}

    def begin(
        self, committed: Mapping[int, int], beginnings: Mapping[int, int], ends: Mapping[int, int]
    ) -> list[ExpiredRange]:
        """Start at the committed offsets or at the beginning of the topic; the ranges that have expired.

        Args:
            committed: the group's offset by partition. A partition without one counts from 0.
            beginnings: the first offset that the topic still has, by assigned partition.
            ends: the offset after the last record, by partition.
        """
        ranges = []
        self._next = {}
        for partition, beginning in beginnings.items():
            offset = committed.get(partition, 0)
            if offset < beginning:
                ranges.append(ExpiredRange(partition, offset, beginning))
            elif offset > ends[partition]:
                ranges.append(ExpiredRange(partition, ends[partition], offset, is_topic_new=True))
            self._next[partition] = beginning if offset > ends[partition] else max(offset, beginning)
        return ranges

    def gaps(self, records: Sequence[IncomingRecord]) -> list[ExpiredRange]:
        """The ranges of offsets that are missing before or between these records. Not all offsets need be events."""
        expected = dict(self._next)
        gaps = []
        for record in records:
            next_offset = expected.get(record.partition, record.offset)
            if record.offset > next_offset:
                gaps.append(ExpiredRange(record.partition, next_offset, record.offset))
            expected[record.partition] = record.offset + 1
        return gaps

    def finish(self, records: Sequence[IncomingRecord]) -> None:
        """Mark these records as planned."""
        for record in records:
            self._next[record.partition] = record.offset + 1


def expired(gap: ExpiredRange, beginning: int) -> ExpiredRange | None:
    """The expired range of a gap: what is before the partition's first offset. Transaction markers leave gaps too."""
    end = min(gap.end, beginning)
    return ExpiredRange(gap.partition, gap.first, end) if end > gap.first else None
