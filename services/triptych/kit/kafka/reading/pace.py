"""Decides how long a consumer lets records gather before it polls again."""

import time
from collections.abc import Callable

LARGE_BATCH = 64
"""From this many records on, a larger batch would save little."""


class Pace:
    """The pace of one consumer.

    Most of the cost of a small batch does not depend on its size. A batch of several records shows that others follow.
    A pause then makes the next batch larger. It suits records that nobody waits for (decision 62).
    """

    def __init__(self, linger_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._linger = linger_seconds
        self._clock = clock
        self._last_count = 0
        self._last_polled_at = 0.0

    def polled(self, count: int) -> None:
        """Note that a poll has returned this many records."""
        self._last_count, self._last_polled_at = count, self._clock()

    def pause(self) -> float:
        """The seconds to wait before the next poll; never more than the last batch has taken."""
        if not self._linger or not 1 < self._last_count < LARGE_BATCH:
            return 0.0
        return min(self._linger, self._clock() - self._last_polled_at)
