"""Runs the loops of a process, and notices when one ends, fails, or makes no progress.

A loop is work that lasts as long as the process. Nobody awaits it, so nobody would see its end. The supervisor logs the
end, counts it, makes the process unready, and then follows the loop's rule.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextvars import ContextVar
from enum import Enum
from typing import Any, TypeAlias

from triptych.kit.backoff import Backoff
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.cancelling import AGAIN_SECONDS, cancel_all
from triptych.kit.process.dependencies import DEPENDENCIES, Dependencies
from triptych.kit.process.telemetry import LOOP_FAILURES

log = get_logger(__name__)

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


class Progress:
    """The last sign of progress of some work, as `progress` gives it."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.moved_at = time.monotonic()
        self.unlimited_blocks = 0

    def note(self) -> None:
        """Note that the work makes progress."""
        self.moved_at = time.monotonic()
        self.problem = None

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note the calls of `progress` in the block, and in the tasks that it starts, as progress of this work."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Progress | None] = ContextVar("progress", default=None)


def progress() -> None:
    """Say that the work which runs this code makes progress; does nothing outside a loop and a batch.

    Every loop says so in every turn, also in a turn that failed. That clears the problem of an earlier run.
    """
    if (work := _current.get()) is not None:
        work.note()


@contextlib.contextmanager
def unlimited() -> Iterator[None]:
    """Suspend the limit of time in a block that waits for work, or whose wait has a limit and a report of its own."""
    work = _current.get()
    if work is None:
        yield
        return
    work.unlimited_blocks += 1
    try:
        yield
    finally:
        work.unlimited_blocks -= 1
        work.moved_at = time.monotonic()


class Loop(Progress):
    """One loop and its rule."""

    def __init__(self, name: str, work: Work, rule: Rule, stalled_seconds: float, may_end: Callable[[], bool]) -> None:
        super().__init__()
        self.name = name
        self.work = work
        self.rule = rule
        self.stalled_seconds = stalled_seconds
        self.may_end = may_end

    @property
    def seconds_left(self) -> float:
        """How long the loop may still make no progress."""
        if self.unlimited_blocks:
            return self.stalled_seconds
        return self.moved_at + self.stalled_seconds - time.monotonic()


class Supervisor:
    """The loops of one process."""

    def __init__(self, dependencies: Dependencies = DEPENDENCIES) -> None:
        """While one of `dependencies` is away, no loop counts as stalled: health reports the cause."""
        self._dependencies = dependencies
        self._loops: set[Loop] = set()
        self.on_exit: Callable[[], None] = lambda: None
        """Called when a loop has ended that only a new process can replace."""

    def problems(self) -> list[str]:
        """The loops that do not run as they should, in words."""
        return sorted(f"{loop.name} {loop.problem}" for loop in self._loops if loop.problem)

    def end_process(self, name: str, reason: str) -> None:
        """End the process with a failure, because of work that this supervisor cannot start again."""
        LOOP_FAILURES.labels(name).inc()
        log.critical("a loop has ended, and so does this process", loop=name, problem=reason)
        self.on_exit()

    @contextlib.asynccontextmanager
    async def running(
        self,
        name: str,
        work: Work,
        rule: Rule = Rule.RESTART,
        stalled_seconds: float | None = None,
        may_end: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[asyncio.Task[None]]:
        """Run a loop as long as the block runs.

        Args:
            name: for the log, readiness and the metric; one of few, and never from outside.
            work: begins the loop; called again if the rule says so.
            rule: what follows when the loop has ended.
            stalled_seconds: how long the loop may make no progress outside of `unlimited` blocks; `STALLED_SECONDS` if
                not given.
            may_end: whether it is right that the loop has returned, for one that can be told to stop.

        Yields:
            A task that ends with the loop, if the loop may end.
        """
        loop = Loop(name, work, rule, STALLED_SECONDS if stalled_seconds is None else stalled_seconds, may_end)
        LOOP_FAILURES.labels(name)  # from 0, so that a first failure is an increase
        self._loops.add(loop)
        task = asyncio.create_task(self._supervise(loop), name=f"supervisor of {name}")
        try:
            yield task
        finally:
            try:
                # Later than the loop is cancelled again, which a second cancellation of its supervisor would prevent.
                await cancel_all([task], 3 * AGAIN_SECONDS)
            finally:
                self._loops.discard(loop)

    async def _supervise(self, loop: Loop) -> None:
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            begun = time.monotonic()
            loop.moved_at, loop.unlimited_blocks = begun, 0
            end = await self._run_once(loop)
            if end is None:
                return
            loop.problem = end
            if loop.rule is Rule.EXIT:
                self.end_process(loop.name, end)
                return
            LOOP_FAILURES.labels(loop.name).inc()
            if time.monotonic() - begun > LONGEST_PAUSE_SECONDS:
                backoff.reset()
            pause = backoff.next_pause()
            log.error("a loop has ended, and starts again", loop=loop.name, problem=end, retry_seconds=round(pause, 1))
            await asyncio.sleep(pause)

    async def _run_once(self, loop: Loop) -> str | None:
        """How the loop ended, in words; None if it was right to end.

        A loop that cannot be cancelled is left to the end of the process.
        """
        task, is_stuck = asyncio.create_task(_in_context(loop), name=loop.name), False
        try:
            while not task.done():
                if loop.seconds_left <= 0:
                    if await self._dependencies.away():
                        loop.moved_at = time.monotonic()
                    elif loop.seconds_left <= 0 and not task.done():
                        is_stuck = not await _is_cancelled(task)
                        if is_stuck:
                            loop.rule = Rule.EXIT
                        return f"has made no progress for {loop.stalled_seconds:g} s"
                    continue
                await asyncio.wait({task}, timeout=loop.seconds_left)
        finally:
            if not is_stuck:
                await cancel_all([task])
        if task.cancelled():
            return "was cancelled"
        if error := task.exception():
            log.error("a loop has failed", loop=loop.name, exc_info=error)
            return f"failed: {error!r}"
        return None if loop.may_end() else "ended"


async def _is_cancelled(task: asyncio.Task[None]) -> bool:
    task.cancel()
    await asyncio.wait({task}, timeout=CANCEL_SECONDS)
    return task.done()


async def _in_context(loop: Loop) -> None:
    with loop.noted():
        await loop.work()


SUPERVISOR = Supervisor()
"""The supervisor of this process."""
