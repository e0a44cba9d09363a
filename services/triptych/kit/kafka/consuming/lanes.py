"""Splits a batch into lanes: groups of whole partitions that a consumer hands to its handler concurrently."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from triptych.kit.kafka.reading.reader import IncomingRecord

Lane: TypeAlias = Sequence[IncomingRecord]
"""Records of some partitions, in order per partition. No other lane of the batch has records of these partitions."""


def always(_records: Sequence[IncomingRecord]) -> bool:
    """The rule of a topic on which the records of one partition never depend on those of another."""
    return True


@dataclass(frozen=True, slots=True)
class Lanes:
    """How a consumer splits its batches; by default it does not.

    Attributes:
        most: the largest number of lanes.
        from_records: the smallest batch that is split. A lane of few records gains less than its tasks cost.
        may_split: whether the result of a batch does not depend on the order between its partitions.
    """

    most: int = 1
    from_records: int = 0
    may_split: Callable[[Sequence[IncomingRecord]], bool] = always

    def of(self, records: Sequence[IncomingRecord]) -> list[Lane]:
        """The lanes of a batch, about equally long; often a single one. No partition is divided."""
        if self.most == 1 or len(records) < self.from_records:
            return [records]
        by_partition: dict[int, list[IncomingRecord]] = {}
        for record in records:
            by_partition.setdefault(record.partition, []).append(record)
        if len(by_partition) == 1 or not self.may_split(records):
            return [records]
        lanes: list[list[IncomingRecord]] = [[] for _ in range(self.most)]
        for of_partition in sorted(by_partition.values(), key=len, reverse=True):
            min(lanes, key=len).extend(of_partition)
        return [lane for lane in lanes if lane]
