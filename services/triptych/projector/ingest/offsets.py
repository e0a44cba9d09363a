"""How far the projector has come on the events topic: lag in records and seconds, and records that are gone."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from prometheus_client import Gauge

from triptych.kit.kafka.publishing.dead_letters import IncomingRecord

LAG_RECORDS = Gauge("triptych_projection_lag_records", "Events of this process's partitions that are not in the views")
LAG_SECONDS = Gauge(
    "triptych_projection_lag_seconds", "Age of the oldest event of this process's partitions that is not in the views"
)


@dataclass(frozen=True, slots=True)
class MissingRecords:
    """Records of the events topic that cannot be projected: from offset `first` up to before `end`.

    They have expired, unless `is_unreadable`.
    """

    partition: int
    first: int
    end: int
    is_unreadable: bool = False

    def __str__(self) -> str:
        what = "cannot be read by any client" if self.is_unreadable else "have expired unread"
        return f"events {self.first} to {self.end - 1} of partition {self.partition} {what}"


def expired(holes: Iterable[MissingRecords], beginnings: Mapping[int, int]) -> list[MissingRecords]:
    """The part of these holes that the topic does not reach back to."""
    cut = [replace(hole, end=min(hole.end, beginnings[hole.partition])) for hole in holes]
    return [loss for loss in cut if loss.first < loss.end]


class Progress:
    """Of the partitions owned now."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._stored: dict[int, int] = {}
        """The offset behind the last record that may be stored without having been published, by partition."""
        self._reached: dict[int, int] = {}
        self._in_hand_ms: int | None = None
        self._last_ms: int | None = None

    def begin(
        self, committed: Mapping[int, int], beginnings: Mapping[int, int], ends: Mapping[int, int]
    ) -> list[MissingRecords]:
        """Start at the committed offsets; what the topic does not reach back to is lost.

        What lies between there and the ends may be stored already, by a former owner that did not publish it.
        """
        losses = [
            MissingRecords(partition, committed[partition], beginning)
            for partition, beginning in beginnings.items()
            if committed[partition] < beginning
        ]
        self._seen = {partition: max(offset, beginnings[partition]) for partition, offset in committed.items()}
        self._stored, self._reached = dict(ends), {}
        return losses

    def holes(self, records: Sequence[IncomingRecord]) -> list[MissingRecords]:
        """The offsets missing before or between these records: of expired ones, or the marks of transactions."""
        expected = dict(self._seen)
        holes = []
        for record in records:
            if record.offset > expected.get(record.partition, record.offset):
                holes.append(MissingRecords(record.partition, expected[record.partition], record.offset))
            expected[record.partition] = record.offset + 1
        return holes

    def begin_records(self, records: Sequence[IncomingRecord]) -> None:
        """Note that these records are in hand."""
        for record in records:
            # Not the largest so far: a topic that was made again begins anew.
            self._seen[record.partition] = record.offset + 1
            self._stored[record.partition] = max(self._stored.get(record.partition, 0), record.offset + 1)
        self._in_hand_ms = min((record.timestamp for record in records if record.timestamp >= 0), default=None)

    def finish(self, records: Iterable[IncomingRecord]) -> None:
        """Note that these records are projected."""
        for record in records:
            self._last_ms = record.timestamp if record.timestamp >= 0 else self._last_ms
        self._in_hand_ms = None

    @property
    def owned(self) -> frozenset[int]:
        """The partitions that this process has begun with."""
        return frozenset(self._seen)

    def fully_published(self, reached: Mapping[int, int]) -> set[int]:
        """The partitions of which everything that is stored was published.

        `reached` has the offset behind what is finished, by partition owned now.
        """
        for partition, offset in reached.items():
            if partition in self._seen and offset < self._reached.get(partition, offset):
                # The topic was made again, and what was stored of the former one does not come any more.
                self._stored[partition] = self._seen[partition]
        self._reached = dict(reached)
        stored = self._stored
        return {partition for partition, offset in reached.items() if offset >= stored.get(partition, offset + 1)}

    def report(self, lag: int) -> None:
        """Set the metrics. Of a record that was not fetched yet, the age is at most that of its predecessor."""
        LAG_RECORDS.set(lag)
        oldest = self._in_hand_ms or self._last_ms
        LAG_SECONDS.set(max(0.0, time.time() - oldest / 1000) if lag and oldest else 0.0)
