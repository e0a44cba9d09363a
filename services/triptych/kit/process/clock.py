"""Owns the time that this process stores and compares: that of MongoDB, so clocks of machines need not agree.

Each heartbeat of MongoDB brings the server's time, and between heartbeats the monotonic clock counts on. So a clock of
this machine that is wrong, or is set while the process runs, delays and loses nothing (decision 60). Before the first
heartbeat, and without MongoDB, the clock of the machine counts.
"""

import datetime  # not the class: tests replace that in other modules, and their dates would be of another class
import time
from collections import deque
from collections.abc import Callable, Hashable

from prometheus_client import Gauge

from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)

AHEAD = Gauge(
    "triptych_clock_ahead_seconds", "By how much the clock of this machine is ahead of MongoDB's; negative if behind"
)
SAMPLES = 3
"""A response that arrives late shows an earlier time. So the latest time that the last few showed counts."""
WRONG_SECONDS = 2.0
"""A clock of this machine that differs by more is reported in the log."""
STEP_SECONDS = 1.0
"""A time that is later by less is not taken back: the clock stands still until it is true."""


class Clock:
    """The time of a process, from those who know the time of a server."""

    def __init__(
        self,
        wall: Callable[[], float] = lambda: time.time(),
        monotonic: Callable[[], float] = lambda: time.monotonic(),
    ) -> None:
        """`wall` is the clock of this machine, in seconds since 1970; `monotonic` counts seconds."""
        self._wall = wall
        self._monotonic = monotonic
        self._sources: list[ServerTime] = []
        self._ahead_of_monotonic: float | None = None
        self._last = 0.0
        self._is_wrong = False

    def seconds(self) -> float:
        """Seconds since 1970."""
        if self._ahead_of_monotonic is None:
            return self._wall()
        now = self._monotonic() + self._ahead_of_monotonic
        if now < self._last < now + STEP_SECONDS:
            return self._last
        self._last = now
        return now

    def source(self) -> "ServerTime":
        """Someone who will know the time of a server. Of several, the one that was asked for last counts."""
        return ServerTime(self)

    def take(self, source: "ServerTime", ahead_of_monotonic: float) -> None:
        """Count from what a source has found out, unless a newer source counts."""
        if source not in self._sources:
            self._sources.append(source)
        if source is self._sources[-1]:
            self._ahead_of_monotonic = ahead_of_monotonic
            self._report(self._wall() - self._monotonic() - ahead_of_monotonic)

    def drop(self, source: "ServerTime") -> None:
        """Forget a source. Without any, the clock of the machine counts."""
        if source in self._sources:
            self._sources.remove(source)
            last = self._sources[-1] if self._sources else None
            self._ahead_of_monotonic = None if last is None else last.ahead_of_monotonic
            self._last = 0.0

    def _report(self, ahead: float) -> None:
        AHEAD.set(ahead)
        is_wrong = abs(ahead) > WRONG_SECONDS
        if is_wrong and not self._is_wrong:
            log.warning("the clock of this machine differs from MongoDB's, whose time counts", seconds=round(ahead, 1))
        elif self._is_wrong and not is_wrong:
            log.info("the clock of this machine agrees with MongoDB's again")
        self._is_wrong = is_wrong


class ServerTime:
    """The time of a server as a client of it learns it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._server: Hashable = None
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._is_closed = False

    @property
    def ahead_of_monotonic(self) -> float:
        """What to add to the monotonic clock to get seconds since 1970."""
        return max(self._samples)

    def note(self, server: Hashable, at: datetime.datetime) -> None:
        """The time at this server has just arrived. `at` is in UTC if it has no zone."""
        if self._is_closed:
            return
        if server != self._server:  # after an election, another server's clock counts
            self._server = server
            self._samples.clear()
        zoned = at if at.tzinfo is not None else at.replace(tzinfo=datetime.UTC)
        self._samples.append(zoned.timestamp() - self._clock._monotonic())
        self._clock.take(self, self.ahead_of_monotonic)

    def close(self) -> None:
        """Nobody asks the server any more."""
        self._is_closed = True
        self._clock.drop(self)


CLOCK = Clock()
"""The clock of this process."""


def unix_seconds() -> float:
    """The time, in seconds since 1970."""
    return CLOCK.seconds()


def unix_milliseconds() -> int:
    """The time, in milliseconds since 1970."""
    return int(CLOCK.seconds() * 1000)


def utc_now() -> datetime.datetime:
    """The time in UTC."""
    return datetime.datetime.fromtimestamp(CLOCK.seconds(), datetime.UTC)
