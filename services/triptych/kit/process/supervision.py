"""Runs the loops of a process, and notices when one ends, fails, or makes no progress.

A loop is work that lasts as long as the process. Nobody awaits it, so nobody would see its end. The supervisor logs the
end, counts it, makes the process unready, and then follows the loop's rule.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import ContextVar
from enum import Enum
from typing import Any, TypeAlias

from triptych.kit.backoff import Backoff
from triptych.kit.process.telemetry import LOOP_FAILURES

log = logging.getLogger(__name__)

STALLED_SECONDS = 60.0
CANCEL_SECONDS = 5.0
"""How long a stalled loop may take to end once it is cancelled."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Rule(Enum):
    """What follows when a loop has ended."""

    RESTART = "restart"
    """Start it again, with back-off: it keeps nothing in memory that a new run lacks."""
    EXIT = "exit"
    """End the process with a failure: only a new process can restore what the loop kept in memory."""


class Loop:
    """One loop, its rule, and its last sign of progress."""

    def __init__(
        self, name: str, work: Work, rule: Rule, stalled_seconds: float | None, may_end: Callable[[], bool]
    ) -> None:
        self.name = name
        self.work = work
        self.rule = rule
        self.stalled_seconds = stalled_seconds
        self.may_end = may_end
        self.problem: str | None = None
        self.moved_at = time.monotonic()

    def progress(self) -> None:
        """Note that the loop makes progress."""
        self.moved_at = time.monotonic()
        self.problem = None


_current: ContextVar[Loop | None] = ContextVar("loop", default=None)


def progress() -> None:
    """Say that the loop which runs this code makes progress; does nothing outside a loop.

    Every loop says so in every turn, also in a turn that failed. That clears the problem of an earlier run.
    """
    if (loop := _current.get()) is not None:
        loop.progress()


class Supervisor:
    """The loops of one process."""

    def __init__(self) -> None:
        self._loops: set[Loop] = set()
        self.on_exit: Callable[[], None] = lambda: None
        """Called when a loop has ended that only a new process can replace."""

    def problems(self) -> list[str]:
        """The loops that do not run as they should, in words."""
        return sorted(f"{loop.name} {loop.problem}" for loop in self._loops if loop.problem)

    @contextlib.asynccontextmanager
    async def running(
        self,
        name: str,
        work: Work,
        rule: Rule = Rule.RESTART,
        stalled_seconds: float | None = STALLED_SECONDS,
        may_end: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[asyncio.Task[None]]:
        """Run a loop as long as the block runs.

        Args:
            name: for the log, readiness and the metric; one of few, and never from outside.
            work: begins the loop; called again if the rule says so.
            rule: what follows when the loop has ended.
            stalled_seconds: how long the loop may make no progress; None for one that may wait for work for ever.
            may_end: whether it is right that the loop has returned, for one that can be told to stop.

        Yields:
            A task that ends with the loop, if the loop may end.
        """
        loop = Loop(name, work, rule, stalled_seconds, may_end)
        self._loops.add(loop)
        task = asyncio.create_task(self._supervise(loop), name=f"supervisor of {name}")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._loops.discard(loop)

    async def _supervise(self, loop: Loop) -> None:
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            begun = time.monotonic()
            loop.moved_at = begun
            end = await _run_once(loop)
            if end is None:
                return
            LOOP_FAILURES.labels(loop.name).inc()
            loop.problem = end
            if loop.rule is Rule.EXIT:
                log.critical("the loop %s %s; this process ends", loop.name, end)
                self.on_exit()
                return
            if time.monotonic() - begun > LONGEST_PAUSE_SECONDS:
                backoff.reset()
            pause = backoff.next_pause()
            log.error("the loop %s %s; it starts again in %.1f s", loop.name, end, pause)
            await asyncio.sleep(pause)


async def _run_once(loop: Loop) -> str | None:
    """How the loop ended, in words; None if it was right to end.

    A loop that cannot be cancelled is left to the end of the process.
    """
    task, is_stuck = asyncio.create_task(_in_context(loop), name=loop.name), False
    try:
        while not task.done():
            limit = None if loop.stalled_seconds is None else loop.moved_at + loop.stalled_seconds - time.monotonic()
            if limit is not None and limit <= 0:
                task.cancel()
                await asyncio.wait({task}, timeout=CANCEL_SECONDS)
                if is_stuck := not task.done():
                    loop.rule = Rule.EXIT
                return f"has made no progress for {loop.stalled_seconds:g} s"
            await asyncio.wait({task}, timeout=limit)
    finally:
        if not is_stuck:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    if task.cancelled():
        return "was cancelled"
    if error := task.exception():
        log.error("the loop %s failed", loop.name, exc_info=error)
        return f"failed: {error!r}"
    return None if loop.may_end() else "ended"


async def _in_context(loop: Loop) -> None:
    _current.set(loop)
    await loop.work()


SUPERVISOR = Supervisor()
"""The supervisor of this process."""
