"""Records what this process is waiting for, for readiness, metrics and the log, so that no wait is silent.

A short wait costs a few microseconds and leaves no trace. A wait of more than `LONG_SECONDS` is logged once when it has
become long and once when it is over; meanwhile the process is not ready.
"""

import asyncio
import functools
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, ParamSpec, TypeVar

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)

LONG_SECONDS = 5.0
P = ParamSpec("P")
T = TypeVar("T")


class Waits(Collector):
    """The waits of one process, by what is waited for. The names are few and never come from outside."""

    def __init__(self, long_seconds: float = LONG_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._long = long_seconds
        self._clock = clock
        self._numbers = itertools.count()
        self._begun: dict[str, dict[int, float]] = {}
        self._logged: dict[str, float] = {}
        """When the wait that was logged began."""

    def begin(self, what: str) -> "Wait":
        """Begin a wait. It lasts until its `end` is called, or as long as the block of a `with` statement.

        Needs a running event loop.
        """
        number = next(self._numbers)
        self._begun.setdefault(what, {})[number] = self._clock()
        timer = asyncio.get_running_loop().call_later(self._long, self._log_long_wait, what, number)
        return Wait(self, what, number, timer)

    def end(self, what: str, number: int) -> None:
        """End a wait, if it has not ended yet; see `Wait.end`."""
        since = self._begun[what].pop(number, None)
        if since is not None and what in self._logged and not self._longest(what) >= self._long:
            since = self._logged.pop(what)
            log.warning("a long wait is over", waits_for=what, seconds=round(self._clock() - since, 1))

    def problems(self) -> dict[str, float]:
        """For each thing that is waited for too long, the seconds of its longest wait."""
        longest = {what: self._longest(what) for what in self._begun}
        return {what: seconds for what, seconds in longest.items() if seconds >= self._long}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge, as Prometheus reads it."""
        gauge = GaugeMetricFamily(
            "triptych_waiting_seconds", "How long the process has been waiting; 0 if it is not waiting", labels=["for"]
        )
        for what in self._begun:
            gauge.add_metric([what], self._longest(what))
        yield gauge

    def _longest(self, what: str) -> float:
        # Dictionaries keep the order in which the waits began.
        begun = next(iter(self._begun[what].values()), None)
        return 0.0 if begun is None else self._clock() - begun

    def _log_long_wait(self, what: str, number: int) -> None:
        begun = self._begun[what].get(number)
        if begun is not None and what not in self._logged:
            self._logged[what] = begun
            log.warning("a wait has become long", waits_for=what, seconds=self._long)


class Wait:
    """One wait that has begun."""

    __slots__ = ("_number", "_timer", "_waits", "_what")

    def __init__(self, waits: Waits, what: str, number: int, timer: asyncio.TimerHandle) -> None:
        self._waits = waits
        self._what = what
        self._number = number
        self._timer = timer

    def end(self) -> None:
        """The wait is over; a second call does nothing."""
        self._timer.cancel()
        self._waits.end(self._what, self._number)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.end()


WAITS = Waits()
"""The waits of this process."""
REGISTRY.register(WAITS)
waiting_for = WAITS.begin


class Trouble:
    """A wait over several attempts. It begins with the first attempt that fails and ends with one that succeeds."""

    def __init__(self, what: str, waits: Waits = WAITS) -> None:
        self._what = what
        self._waits = waits
        self._wait: Wait | None = None

    def begin(self) -> None:
        """Record that an attempt has failed."""
        if self._wait is None:
            self._wait = self._waits.begin(self._what)

    def end(self) -> None:
        """Record that an attempt has succeeded, or that there will be no more attempts."""
        if self._wait is not None:
            self._wait.end()
            self._wait = None


def recorded_as_wait(what: str) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Decorate a coroutine function so that each call is recorded as a wait."""

    def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> T:
            with waiting_for(what):
                return await function(*args, **kwargs)

        return run

    return decorate
