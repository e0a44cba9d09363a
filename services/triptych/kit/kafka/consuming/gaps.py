"""Finds, purely, offsets that a consumer did not get: their records have expired, or are markers of transactions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from triptych.kit.kafka.reading.reader import IncomingRecord


class OffsetRange(NamedTuple):
    """The offsets `first` to `end - 1` of a partition."""

    partition: int
    first: int
    end: int


class NextOffsets:
    """The offset that a consumer expects next on each partition that it owns."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}

    @property
    def by_partition(self) -> Mapping[int, int]:
        """The expected offsets, by owned partition."""
        return self._next

    def begin(self, offsets: Mapping[int, int], beginnings: Mapping[int, int]) -> list[OffsetRange]:
        """Own these partitions alone, from these offsets on, or from the beginning of the topic if it is later.

        Args:
            offsets: by partition.
            beginnings: the first offset that the topic still has, of the same partitions.

        Returns:
            The records before the beginning of the topic. They have expired.
        """
        self._next = {partition: max(offset, beginnings[partition]) for partition, offset in offsets.items()}
        return [
            OffsetRange(partition, offset, beginnings[partition])
            for partition, offset in offsets.items()
            if offset < beginnings[partition]
        ]

    def gaps(self, records: Sequence[IncomingRecord]) -> list[OffsetRange]:
        """The offsets that are missing before or between these records, which are in order per partition."""
        expected = dict(self._next)
        gaps = []
        for record in records:
            offset = record.offset
            next_offset = expected.get(record.partition, offset)
            if offset > next_offset:
                gaps.append(OffsetRange(record.partition, next_offset, offset))
            expected[record.partition] = offset + 1
        return gaps

    def advance(self, offsets: Mapping[int, int]) -> None:
        """Expect these offsets next. They may be lower: offsets begin again in a topic that was created again."""
        self._next.update(offsets)


def ends_of(records: Iterable[IncomingRecord]) -> dict[int, int]:
    """The offset after the last of these records, by partition; they are in order per partition."""
    return {record.partition: record.offset + 1 for record in records}


def expired(gaps: Iterable[OffsetRange], beginnings: Mapping[int, int]) -> list[OffsetRange]:
    """The offsets in these gaps that are before the beginning of the topic, the first offset that it still has."""
    cut = [gap._replace(end=min(gap.end, beginnings[gap.partition])) for gap in gaps]
    return [gap for gap in cut if gap.first < gap.end]
