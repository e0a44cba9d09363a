"""Sends the heartbeats of all open streams by one timer: a timer for each stream would wake the process for each."""

import asyncio
import time
from collections.abc import Callable, Collection

from triptych.gateway.live.subscription import Heartbeat, Positions, Subscription

TICK_SECONDS = 1.0
"""Heartbeats that are due within this time are sent together. As soon, a change of the problem is told."""
TICKS = 4
"""The ticks of an interval, at least."""


class Heartbeats:
    """Beats for each stream that has been quiet for an interval, and for all when it changes whether events can come.

    It is a timer and not a task: it awaits nothing, and runs only while streams are open.
    """

    def __init__(
        self,
        streams: Collection[Subscription],
        interval_seconds: float,
        positions_of: Callable[[Subscription], Positions],
        problem: Callable[[], str | None],
    ) -> None:
        """
        Args:
            streams: the open ones, as they are at any time.
            interval_seconds: how long a stream may be quiet.
            positions_of: up to where the topic has been read for a stream.
            problem: why no events can come; None if they can.
        """
        self._streams = streams
        self._interval_seconds = interval_seconds
        self._tick_seconds = min(TICK_SECONDS, interval_seconds / TICKS)
        self._positions_of = positions_of
        self._problem = problem
        self._told: str | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Beat from now on until no stream is open; called when one has been opened."""
        if self._timer is None:
            self._told = self._problem()
            self._begin_tick()

    def _begin_tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._tick_seconds, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if not self._streams:
            return
        self._begin_tick()
        problem = self._problem()
        is_news, self._told = problem != self._told, problem
        # A stream that is not due at this tick must not be overdue at the next one.
        due = time.monotonic() - self._interval_seconds + self._tick_seconds
        for stream in self._streams:
            if is_news or stream.quiet_since <= due:
                stream.beat(Heartbeat(self._positions_of(stream), problem))
