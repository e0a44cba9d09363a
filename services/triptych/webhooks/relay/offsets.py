"""Notices, purely, which events were lost before the relay had planned their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from triptych.kit.kafka.publishing.dead_letters import IncomingRecord


@dataclass(frozen=True, slots=True)
class ExpiredRange:
    """Events of a partition that nobody can plan any more: from offset `first` up to before `end`."""

    partition: int
    first: int
    end: int
    is_topic_new: bool = False
    """Whether the topic ends before `end`: it was made anew, and what was on it is gone."""

    @property
    def count(self) -> int:
        """How many events they are at most; 0 if nobody can tell."""
        return 0 if self.is_topic_new else self.end - self.first

    def __str__(self) -> str:
        if self.is_topic_new:
            return (
                f"partition {self.partition} of the events topic was made anew: "
                f"it ends at {self.first}, before {self.end}, where the relay stands"
            )
        return (
            f"events {self.first} to {self.end - 1} of partition {self.partition} "
            "have expired before their deliveries were planned"
        )


class PlannedOffsets:
    """The offsets that come next, of the partitions owned now."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}

    def begin(
        self, committed: Mapping[int, int], beginnings: Mapping[int, int], ends: Mapping[int, int]
    ) -> list[ExpiredRange]:
        """Start at the committed offsets, or where the topic begins; what it does not reach back to is lost.

        Args:
            committed: by the group, where it has; a group without an offset has seen nothing.
            beginnings: the first offsets that the topic still has, of the partitions owned now.
            ends: the offsets behind its last records.
        """
        losses = []
        self._next = {}
        for partition, beginning in beginnings.items():
            stands = committed.get(partition, 0)
            if stands < beginning:
                losses.append(ExpiredRange(partition, stands, beginning))
            elif stands > ends[partition]:
                losses.append(ExpiredRange(partition, ends[partition], stands, is_topic_new=True))
            self._next[partition] = beginning if stands > ends[partition] else max(stands, beginning)
        return losses

    def gaps(self, records: Sequence[IncomingRecord]) -> list[ExpiredRange]:
        """The offsets that are missing before or between these records; not all of them need have been events."""
        expected = dict(self._next)
        gaps = []
        for record in records:
            following = expected.get(record.partition, record.offset)
            if record.offset > following:
                gaps.append(ExpiredRange(record.partition, following, record.offset))
            expected[record.partition] = record.offset + 1
        return gaps

    def finish(self, records: Sequence[IncomingRecord]) -> None:
        """Note that the deliveries of these records are planned."""
        for record in records:
            self._next[record.partition] = record.offset + 1


def expired(gap: ExpiredRange, beginning: int) -> ExpiredRange | None:
    """What of a gap has expired, given where the partition begins: markers of transactions leave gaps as well."""
    end = min(gap.end, beginning)
    return ExpiredRange(gap.partition, gap.first, end) if end > gap.first else None
