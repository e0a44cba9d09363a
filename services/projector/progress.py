"""How far the projector has come on the events topic: lag in records and seconds, and records that are gone."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Gauge

from services.kit.dead_letters import IncomingRecord

LAG_RECORDS = Gauge("triptych_projection_lag_records", "Events of this process's partitions that are not in the views")
LAG_SECONDS = Gauge(
    "triptych_projection_lag_seconds", "Age of the oldest event of this process's partitions that is not in the views"
)


@dataclass(frozen=True, slots=True)
class Loss:
    """Records of the events topic that expired before they were projected: from offset `first` up to before `end`."""

    partition: int
    first: int
    end: int

    def __str__(self) -> str:
        return f"events {self.first} to {self.end - 1} of partition {self.partition} have expired unread"


class Progress:
    """Of the partitions owned now."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self.finished: dict[int, int] = {}
        """The offset behind the last projected record, by partition."""
        self._in_hand_ms: int | None = None
        self._last_ms: int | None = None

    def begin(self, committed: Mapping[int, int], beginnings: Mapping[int, int]) -> list[Loss]:
        """Start at the committed offsets; what the topic does not reach back to is lost."""
        losses = [
            Loss(partition, committed[partition], beginning)
            for partition, beginning in beginnings.items()
            if committed[partition] < beginning
        ]
        self._seen = {partition: max(offset, beginnings[partition]) for partition, offset in committed.items()}
        self.finished = dict(self._seen)
        return losses

    def losses(self, records: Sequence[IncomingRecord]) -> list[Loss]:
        """What is missing before or between these records: offsets have no holes unless records have expired."""
        expected = dict(self._seen)
        losses = []
        for record in records:
            if record.offset > expected.get(record.partition, record.offset):
                losses.append(Loss(record.partition, expected[record.partition], record.offset))
            expected[record.partition] = record.offset + 1
        return losses

    def take(self, records: Sequence[IncomingRecord]) -> None:
        """Note that these records are in hand."""
        for record in records:
            self._seen[record.partition] = max(self._seen.get(record.partition, 0), record.offset + 1)
        self._in_hand_ms = min((record.timestamp for record in records), default=None)

    def finish(self, records: Iterable[IncomingRecord]) -> None:
        """Note that these records are projected."""
        for record in records:
            self.finished[record.partition] = max(self.finished.get(record.partition, 0), record.offset + 1)
            self._last_ms = record.timestamp
        self._in_hand_ms = None

    def lag(self, ends: Mapping[int, int]) -> int:
        """Records up to these ends that are not projected."""
        return sum(max(0, end - self.finished.get(partition, 0)) for partition, end in ends.items())

    def report(self, ends: Mapping[int, int]) -> None:
        """Set the metrics. Of a record that was not fetched yet, the age is at most that of its predecessor."""
        lag = self.lag(ends)
        LAG_RECORDS.set(lag)
        oldest = self._in_hand_ms or self._last_ms
        LAG_SECONDS.set(max(0.0, time.time() - oldest / 1000) if lag and oldest else 0.0)
