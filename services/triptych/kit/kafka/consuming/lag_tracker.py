"""How far a consumer is behind its partitions, in records and seconds, and whether it stands still (pure)."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

STALLED_SECONDS = 30.0
"""A consumer that is behind and has not moved for so long is not ready."""
OPEN_SECONDS = 5.0
"""So long, a transaction may keep records back without being told."""
_SAMPLES_MAX = 64


class PartitionState(NamedTuple):
    """A partition at a moment.

    Attributes:
        reached: the offset behind what is finished.
        end: the offset behind the last record there.
        stable: the offset of the first record of an open transaction, else as `end`; None if it is not known.
        oldest_ms: when the oldest record being handled was written, in ms since 1970; None if that is not known.
        trouble: why the broker gives nothing, if it says so.
    """

    reached: int
    end: int
    stable: int | None = None
    oldest_ms: int | None = None
    trouble: str | None = None


class Lag(NamedTuple):
    """How far a partition is behind; `still_seconds` is how long nothing of it has been finished."""

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
    """When an end was seen first, oldest first, as far as it is not reached."""

    def note(self, standing: PartitionState, now: float) -> None:
        if standing.reached != self.reached or standing.reached >= standing.end:
            self.reached, self.moved_at = standing.reached, now
        if self.ends and self.ends[-1][1] > standing.end:
            self.ends.clear()  # the topic was made again
        while self.ends and self.ends[0][1] <= standing.reached:
            self.ends.popleft()
        if standing.end > standing.reached and (not self.ends or self.ends[-1][1] < standing.end):
            self.ends.append((now, standing.end))
        if len(self.ends) > _SAMPLES_MAX:
            del self.ends[1]  # the age of later records is then told too high, by little


class LagTracker:
    """The partitions that are owned now, as they were when they were last looked at."""

    def __init__(self) -> None:
        self._histories: dict[int, _History] = {}
        self.lags: dict[int, Lag] = {}

    def update(self, standings: Mapping[int, PartitionState], now: float) -> None:
        """Take note of all partitions owned, `now` being seconds since 1970; others are forgotten."""
        self._histories = {
            partition: self._histories.get(partition) or _History(standing.reached, now)
            for partition, standing in standings.items()
        }
        self.lags = {partition: self._lag(partition, standing, now) for partition, standing in standings.items()}

    def _lag(self, partition: int, standing: PartitionState, now: float) -> Lag:
        history = self._histories[partition]
        history.note(standing, now)
        records = max(0, standing.end - standing.reached)
        if records == 0:
            return Lag(0, 0.0, 0.0, False, None)
        since = history.ends[0][0]
        if standing.oldest_ms is not None and standing.oldest_ms >= 0:
            since = min(since, standing.oldest_ms / 1000)
        is_kept_back = standing.stable is not None and standing.stable <= standing.reached and not standing.trouble
        return Lag(records, max(0.0, now - since), now - history.moved_at, is_kept_back, standing.trouble)

    def stalled(self) -> dict[int, Lag]:
        """The partitions that stand still, by number."""
        return {
            partition: lag
            for partition, lag in self.lags.items()
            if lag.stalled_seconds >= STALLED_SECONDS and not lag.waits_for_transaction
        }

    def waiting_for_transaction(self) -> dict[int, Lag]:
        """The partitions whose next record belongs to a transaction that is open, or comes after one, by number."""
        return {
            partition: lag
            for partition, lag in self.lags.items()
            if lag.stalled_seconds >= OPEN_SECONDS and lag.waits_for_transaction
        }
