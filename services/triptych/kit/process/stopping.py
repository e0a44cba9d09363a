"""Gives one deadline to the whole stop of a process, and a share of it to each step.

A supervisor kills a process that takes too long, in the middle of whatever it does. So the deadline begins at the
signal, and each step has a point in time by which it ends. A step that ends early leaves its time to later steps. A
step that does not end in time is cancelled, and the log names it (decision 26).
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

from triptych.kit.logs.loggers import get_logger
from triptych.kit.logs.setup import write_last_line

log = get_logger(__name__)

# When the steps end, in seconds after the signal.
HTTP, BATCH, DELIVERIES, RELEASE, PRODUCERS, DATABASE, TRACES, ALL = 8.0, 12.0, 16.0, 17.5, 19.0, 20.5, 21.5, 22.0
FORCED_SECONDS = 23.5
"""When a process that cannot end in order is ended by force. `triptych up` kills it after 25 s."""
CANCEL_AGAIN_SECONDS = 0.1


class StopDeadline:
    """The deadline of one stop. It runs from `begin`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, scale: float = 1.0) -> None:
        """`scale` stretches all times, for tests."""
        self._clock = clock
        self._scale = scale
        self._begun_at: float | None = None
        self._force: threading.Timer | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the process stops."""
        return self._begun_at is not None

    def begin(self) -> None:
        """Begin to stop. A second call does nothing."""
        if self._begun_at is None:
            self._begun_at = self._clock()

    def remaining(self, until: float) -> float:
        """The seconds until a point in time given in seconds after the signal; 0 if it has passed."""
        if self._begun_at is None:
            return until * self._scale
        return max(0.0, self._begun_at + until * self._scale - self._clock())

    @contextlib.asynccontextmanager
    async def step(self, what: str, until: float) -> AsyncIterator[None]:
        """Run the block until `until` at most, and then cancel what it awaits; the stop continues with the next step.

        Args:
            what: is abandoned then, for the log.
            until: in seconds after the signal.
        """
        try:
            async with asyncio.timeout(self.remaining(until)) as limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            log.warning("a step of the stop was abandoned, to end in time", step=what)

    async def finish(self, work: "asyncio.Task[Any]") -> None:
        """Wait until all has ended. From the end of the deadline on, cancel each await of `work` that is left."""
        await asyncio.wait({work}, timeout=self.remaining(ALL))
        if work.done():
            return
        log.warning("the orderly stop was abandoned, to end in time")
        while not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=CANCEL_AGAIN_SECONDS * self._scale)

    def force(self) -> None:
        """End the process by force if it still runs after `FORCED_SECONDS`, even if its event loop stands still."""
        self._force = threading.Timer(self.remaining(FORCED_SECONDS), _end_by_force)
        self._force.daemon = True
        self._force.start()

    def ended(self) -> None:
        """Note that the stop is complete."""
        if self._force is not None:
            self._force.cancel()


def _end_by_force() -> None:
    write_last_line("the process did not end in time, and is ended by force")
    os._exit(os.EX_TEMPFAIL)


_deadline: ContextVar[StopDeadline | None] = ContextVar("stop deadline", default=None)


def set_stop_deadline(deadline: StopDeadline) -> None:
    """Make this the deadline of the process, for all tasks that this one starts from now on."""
    _deadline.set(deadline)


def is_stopping() -> bool:
    """Whether the process has been told to stop."""
    deadline = _deadline.get()
    return deadline is not None and deadline.has_begun


def stop_deadline() -> StopDeadline:
    """The deadline of the process if it stops, otherwise a new one that begins now: something else is closed."""
    deadline = _deadline.get()
    if deadline is None or not deadline.has_begun:
        deadline = StopDeadline()
        deadline.begin()
    return deadline
