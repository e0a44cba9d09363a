"""Computes how far a consumer is behind its partitions, in records and seconds, and whether it has stalled (pure)."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

STALLED_SECONDS = 30.0
"""A consumer that is behind and has not moved for this long is not ready."""
OPEN_SECONDS = 5.0
"""How long an open transaction may withhold records before it is reported."""
_SAMPLES_MAX = 64


class PartitionState(NamedTuple):
    """A partition at one moment.

    Attributes:
        reached: the offset after the last finished record.
        end: the offset after the last record of the partition.
        stable: the offset of the first record of an open transaction, `end` if none is open, None if not known.
        oldest_ms: when the oldest record being handled was written, in ms since 1970; None if not known.
        trouble: why the broker returns no records, if it gives a reason.
    """

    reached: int
    end: int
    stable: int | None = None
    oldest_ms: int | None = None
    trouble: str | None = None


class Lag(NamedTuple):
    """How far a partition is behind; `stalled_seconds` is the time since a record of it was last finished."""

    records: int
    seconds: float
    stalled_seconds: float
    waits_for_transaction: bool
    trouble: str | None


@dataclass(slots=True)
class _History:
    reached: int
    moved_at: float
    ends: deque[tuple[float, int]] = field(default_factory=deque)
    """The ends that are not reached yet, oldest first, each with the time at which it was first seen."""

    def add(self, state: PartitionState, now: float) -> None:
        if state.reached != self.reached or state.reached >= state.end:
            self.reached, self.moved_at = state.reached, now
        if self.ends and self.ends[-1][1] > state.end:
            self.ends.clear()  # the topic was deleted and created again
        while self.ends and self.ends[0][1] <= state.reached:
            self.ends.popleft()
        if state.end > state.reached and (not self.ends or self.ends[-1][1] < state.end):
            self.ends.append((now, state.end))
        if len(self.ends) > _SAMPLES_MAX:
            del self.ends[1]  # later records then count as slightly older than they are


class LagTracker:
    """The partitions that are owned now, and their lag at the last update."""

    def __init__(self) -> None:
        self._histories: dict[int, _History] = {}
        self._updated_at = 0.0
        self.lags: dict[int, Lag] = {}

    def update(self, states: Mapping[int, PartitionState], now: float) -> None:
        """Record the states of all owned partitions at `now`, in seconds since 1970. Forgets all others."""
        self._histories = {
            partition: self._histories.get(partition) or _History(state.reached, now)
            for partition, state in states.items()
        }
        self.lags = {partition: self._lag(partition, state, now) for partition, state in states.items()}
        self._updated_at = now

    def aged(self, now: float, in_progress_ms: Mapping[int, int]) -> dict[int, Lag]:
        """The lags at `now`, in seconds since 1970, if nothing could be measured since the last update.

        The records that waited then are older by the time that has passed. A partition with a record that is being
        handled is behind at least by this record.

        Args:
            now: seconds since 1970.
            in_progress_ms: when the oldest record being handled was written, in ms since 1970, by partition.
        """
        passed = max(0.0, now - self._updated_at)
        aged = {}
        for partition, lag in self.lags.items():
            records, seconds = lag.records, lag.seconds + passed if lag.records else 0.0
            if (oldest_ms := in_progress_ms.get(partition)) is not None:
                records = max(1, records)
                seconds = seconds if oldest_ms < 0 else max(seconds, now - oldest_ms / 1000)
            aged[partition] = lag._replace(records=records, seconds=seconds)
        return aged

    def _lag(self, partition: int, state: PartitionState, now: float) -> Lag:
        history = self._histories[partition]
        history.add(state, now)
        records = max(0, state.end - state.reached)
        if records == 0:
            return Lag(0, 0.0, 0.0, False, None)
        since = history.ends[0][0]
        if state.oldest_ms is not None and state.oldest_ms >= 0:
            since = min(since, state.oldest_ms / 1000)
        is_withheld = state.stable is not None and state.stable <= state.reached and not state.trouble
        return Lag(records, max(0.0, now - since), now - history.moved_at, is_withheld, state.trouble)

    def stalled(self) -> dict[int, Lag]:
        """The partitions that have stalled, by number."""
        return {
            partition: lag
            for partition, lag in self.lags.items()
            if lag.stalled_seconds >= STALLED_SECONDS and not lag.waits_for_transaction
        }

    def waiting_for_transaction(self) -> dict[int, Lag]:
        """The partitions whose next record belongs to an open transaction or comes after one, by number."""
        return {
            partition: lag
            for partition, lag in self.lags.items()
            if lag.stalled_seconds >= OPEN_SECONDS and lag.waits_for_transaction
        }
