"""Measures for how long a consumer has been behind without moving (pure)."""

from collections.abc import Hashable

STANDSTILL_SECONDS = 60.0
"""After this time without any progress, although Kafka and MongoDB answer, only a new process can help."""
LONGEST_STEP_SECONDS = 5.0
"""The most that one measurement adds: if the process itself was paused for longer, the consumer could not move."""


class Standstill:
    """The time for which one consumer has been behind and has shown no sign of progress."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._mark: Hashable = None
        self._measured_at: float | None = None

    def update(self, mark: Hashable, now: float, *, is_behind: bool) -> None:
        """Measure at `now` on a monotonic clock. `mark` differs from the last one if the consumer has moved."""
        if not is_behind or mark != self._mark or self._measured_at is None:
            self.reset()
        else:
            self.seconds += min(now - self._measured_at, LONGEST_STEP_SECONDS)
        self._mark, self._measured_at = mark, now

    def reset(self) -> None:
        """Begin again: the consumer was not to blame."""
        self.seconds, self._measured_at = 0.0, None
