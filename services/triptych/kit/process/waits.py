"""Knows what this process is waiting for, so that no wait is silent: readiness, metrics and the log read it here.

A wait that ends soon costs a few microseconds and leaves no trace. One of more than `LONG_SECONDS` is logged once, and
once more when it is over; as long as it lasts the process is not ready.
"""

import asyncio
import functools
import itertools
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

log = logging.getLogger(__name__)

LONG_SECONDS = 5.0
P = ParamSpec("P")
T = TypeVar("T")


class Waits(Collector):
    """The waits of one process, by what is waited for; the names are few, and never come from outside."""

    def __init__(self, long_seconds: float = LONG_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._long = long_seconds
        self._clock = clock
        self._numbers = itertools.count()
        self._begun: dict[str, dict[int, float]] = {}
        self._told: dict[str, float] = {}
        """When the wait began that the log has been told of."""

    def begin(self, what: str) -> Callable[[], None]:
        """Begin to wait; call what is returned when the wait is over. A second call does nothing.

        Needs a running event loop.
        """
        number = next(self._numbers)
        begun = self._begun.setdefault(what, {})
        begun[number] = self._clock()
        timer = asyncio.get_running_loop().call_later(self._long, self._tell, what, number)

        def end() -> None:
            timer.cancel()
            if begun.pop(number, None) is not None and what in self._told and not self._longest(what) >= self._long:
                since = self._told.pop(what)
                log.warning("no longer waits for %s, after %.1f s", what, self._clock() - since)

        return end

    @contextmanager
    def waiting_for(self, what: str) -> Iterator[None]:
        """What the block does is waiting."""
        end = self.begin(what)
        try:
            yield
        finally:
            end()

    def problems(self) -> dict[str, float]:
        """Seconds of the longest wait for each thing that is waited for too long."""
        longest = {what: self._longest(what) for what in self._begun}
        return {what: seconds for what, seconds in longest.items() if seconds >= self._long}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge, as Prometheus reads it."""
        gauge = GaugeMetricFamily(
            "triptych_waiting_seconds", "Since when the process has waited; 0 if it does not", labels=["for"]
        )
        for what in self._begun:
            gauge.add_metric([what], self._longest(what))
        yield gauge

    def _longest(self, what: str) -> float:
        # Dictionaries keep the order in which the waits began.
        begun = next(iter(self._begun[what].values()), None)
        return 0.0 if begun is None else self._clock() - begun

    def _tell(self, what: str, number: int) -> None:
        begun = self._begun[what].get(number)
        if begun is not None and what not in self._told:
            self._told[what] = begun
            log.warning("waits for %s, for %g s already", what, self._long)


WAITS = Waits()
"""Those of this process."""
REGISTRY.register(WAITS)
waiting_for = WAITS.waiting_for


class Trouble:
    """A wait over several attempts: it begins with the first one that fails, and is over with one that succeeds."""

    def __init__(self, what: str, waits: Waits = WAITS) -> None:
        self._what = what
        self._waits = waits
        self._end: Callable[[], None] | None = None

    def begin(self) -> None:
        """An attempt has failed."""
        if self._end is None:
            self._end = self._waits.begin(self._what)

    def end(self) -> None:
        """An attempt has succeeded, or nothing is attempted any more."""
        if self._end is not None:
            self._end()
            self._end = None


def noted(what: str) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Make a coroutine function a wait."""

    def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> T:
            with waiting_for(what):
                return await function(*args, **kwargs)

        return run

    return decorate
