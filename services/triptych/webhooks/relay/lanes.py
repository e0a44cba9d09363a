"""Limits one listener's deliveries, purely: how many wait in memory, how many are in flight, and how fast."""

from collections import deque
from enum import StrEnum

from triptych.kit.backoff import pause_after
from triptych.webhooks.model.failing import FailureRun
from triptych.webhooks.model.health import FAILURES_TO_BREAK
from triptych.webhooks.store.deliveries import ClaimedDelivery
from triptych.webhooks.store.listener_documents import Listener

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.25
# How far ahead to claim: the deliveries that earlier durations predict for this time, up to a maximum.
AHEAD_SECONDS = 2.0
AHEAD_MAX = 256
# The weight of a new duration in the moving average of a request's duration.
_SMOOTHING = 0.2


class LaneState(StrEnum):
    """How a listener has answered last, as this process has seen it."""

    ANSWERING = "answering"
    FAILING = "failing"
    """The last attempts have failed."""
    THROTTLED = "throttled"
    """The listener has failed often, so it gets one request at a time, with pauses."""


class Lane:
    """The queue and the limits of one listener. Times are seconds on the event loop's clock."""

    def __init__(self, listener: Listener, concurrency: int) -> None:
        self.listener = listener
        self.queue: deque[ClaimedDelivery] = deque()
        self.in_flight = 0
        self.may_have_due = True
        """Whether there may be due deliveries that no process has claimed."""
        self.is_closed = False
        """Whether sending has stopped, because the listener was just disabled."""
        self.run: FailureRun | None = None
        """The current run of failures; None after a success."""
        self.stored_run: FailureRun | None = None
        """The run as last stored."""
        self.is_run_known = False
        """Whether `run` has been loaded: another process may have served the listener before."""
        self.waits_since: float | None = None
        """Since when deliveries have waited and none was started; None if none waits."""
        self._concurrency = concurrency
        self._failures = 0
        self._next_at = 0.0
        self._average_seconds = 0.05

    def update(self, listener: Listener) -> None:
        """Apply changes of the listener, if there are any."""
        if listener != self.listener:
            self.listener = listener
            self.is_run_known = False
            self.is_closed = False

    @property
    def state(self) -> LaneState:
        """How the listener has answered last."""
        if not self._failures:
            return LaneState.ANSWERING
        return LaneState.THROTTLED if self._failures >= FAILURES_TO_BREAK else LaneState.FAILING

    @property
    def limit(self) -> int:
        """The most requests in flight."""
        return 1 if self._failures >= FAILURES_TO_BREAK else self._concurrency

    @property
    def free_slots(self) -> int:
        """How many deliveries may be claimed now."""
        return max(0, self._ahead_limit - len(self.queue) - self.in_flight)

    @property
    def wants_more(self) -> bool:
        """Whether to query for more deliveries: only when at least half of the slots are free."""
        return self.free_slots > 0 and self.free_slots >= self._ahead_limit // 2

    @property
    def _ahead_limit(self) -> int:
        ahead = max(self.limit, int(self.limit / max(self._average_seconds, 0.001) * AHEAD_SECONDS))
        if self.listener.rate_limit is not None:
            ahead = min(ahead, max(1, int(self.listener.rate_limit * AHEAD_SECONDS)))
        return min(ahead, AHEAD_MAX)

    def may_start_at(self, now: float) -> float | None:
        """When the next request may start, not before `now`; None while too many are in flight."""
        return None if self.in_flight >= self.limit else max(now, self._next_at)

    def note_waiting(self, now: float, *, has_due: bool) -> None:
        """Note whether deliveries wait, claimed or not."""
        if not has_due and not self.queue:
            self.waits_since = None
        elif self.waits_since is None:
            self.waits_since = now

    def seconds_without_start(self, now: float) -> float:
        """For how long deliveries have waited although the listener's own limit of rate lets one start."""
        return 0.0 if self.waits_since is None else max(0.0, now - max(self.waits_since, self._next_at))

    def start(self, now: float) -> None:
        """Count a request that starts."""
        self.waits_since = None
        self.in_flight += 1
        if self.listener.rate_limit is not None:
            self._next_at = max(now, self._next_at) + 1 / self.listener.rate_limit

    def finish(self, now: float, seconds: float, *, success: bool) -> None:
        """Count a request that has ended."""
        self.in_flight -= 1
        self._average_seconds += _SMOOTHING * (seconds - self._average_seconds)
        if success:
            self._failures = 0
            return
        self._failures += 1
        excess = self._failures - FAILURES_TO_BREAK + 1
        if excess > 0:
            pause = pause_after(excess, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            self._next_at = max(self._next_at, now + pause)
