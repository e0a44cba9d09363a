"""Tracks the projector's offsets on the events topic: lag, gaps in the offsets, and what is published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Gauge

from triptych.kit.kafka.consuming.gaps import NextOffsets, OffsetRange, ends_of
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.process.clock import unix_seconds

LAG_RECORDS = Gauge("triptych_projection_lag_records", "Events of this process's partitions that are not in the views")
LAG_SECONDS = Gauge(
    "triptych_projection_lag_seconds", "Age of the oldest event of this process's partitions that is not in the views"
)


@dataclass(frozen=True, slots=True)
class MissingRecords:
    """Records of the events topic that cannot be projected: offsets `first` to `end - 1`.

    The records are unreadable if `is_unreadable`; otherwise they have expired.
    """

    partition: int
    first: int
    end: int
    is_unreadable: bool = False

    def __str__(self) -> str:
        what = "cannot be read by any client" if self.is_unreadable else "have expired unread"
        return f"events {self.first} to {self.end - 1} of partition {self.partition} {what}"


class ProjectedOffsets:
    """The offsets of the partitions that this process owns now."""

    def __init__(self) -> None:
        self._next = NextOffsets()
        self._stored: dict[int, int] = {}
        """The offset after the last record that may be stored and not yet published, by partition."""
        self._reached: dict[int, int] = {}
        self._in_progress_ms: dict[int, int] = {}
        """The time of the oldest record in progress, by partition."""
        self._last_ms: int | None = None

    def begin(
        self, committed: Mapping[int, int], beginnings: Mapping[int, int], ends: Mapping[int, int]
    ) -> list[MissingRecords]:
        """Start at the committed offsets, after the partitions were claimed.

        A former owner may have stored the records up to `ends` without publishing them.

        Returns:
            The records between the committed offsets and the beginning of the topic. They have expired.
        """
        self._stored, self._reached, self._in_progress_ms = dict(ends), {}, {}
        return [MissingRecords(*expired) for expired in self._next.begin(committed, beginnings)]

    def gaps(self, records: Sequence[IncomingRecord]) -> list[OffsetRange]:
        """The offsets missing before or between these records: expired records or transaction markers."""
        return self._next.gaps(records)

    def begin_records(self, records: Sequence[IncomingRecord]) -> None:
        """Note that the projection of these records begins; they are in order per partition."""
        # One entry for each partition: a batch has thousands of records.
        ends = ends_of(records)
        oldest = {record.partition: record.timestamp for record in reversed(records)}
        self._next.advance(ends)
        for partition, end in ends.items():
            self._stored[partition] = max(self._stored.get(partition, 0), end)
        for partition, timestamp in oldest.items():
            if timestamp >= 0:
                self._in_progress_ms[partition] = min(self._in_progress_ms.get(partition, timestamp), timestamp)

    def finish(self, records: Sequence[IncomingRecord]) -> None:
        """Note that these records are projected."""
        for partition in {record.partition for record in records}:
            self._in_progress_ms.pop(partition, None)
        if records and records[-1].timestamp >= 0:
            self._last_ms = records[-1].timestamp

    @property
    def owned(self) -> frozenset[int]:
        """The partitions that this process has started to project."""
        return frozenset(self._next.by_partition)

    def fully_published(self, reached: Mapping[int, int]) -> set[int]:
        """The partitions whose stored records are all published.

        Args:
            reached: the offset after the last finished record, by partition owned now.
        """
        expected = self._next.by_partition
        for partition, offset in reached.items():
            if partition in expected and offset < self._reached.get(partition, offset):
                # The topic was deleted and created again. The stored records of the deleted topic do not come again.
                self._stored[partition] = expected[partition]
        self._reached = dict(reached)
        stored = self._stored
        return {partition for partition, offset in reached.items() if offset >= stored.get(partition, offset + 1)}

    def report(self, lag: int) -> None:
        """Set the metrics. A record that is not fetched yet is no older than its predecessor, whose age is reported."""
        LAG_RECORDS.set(lag)
        oldest = min(self._in_progress_ms.values(), default=None) or self._last_ms
        LAG_SECONDS.set(max(0.0, unix_seconds() - oldest / 1000) if lag and oldest else 0.0)
