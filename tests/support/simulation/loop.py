"""An event loop in virtual time, on which simulated processes run that can be frozen and killed.

Nothing on it depends on the machine: it never waits, and callbacks run in the order in which asyncio promises to run
them. What happens in which order is decided by the models of the servers, which draw every delay from one seed.

A step is one callback that has run: what a task does between two of its awaits, the arrival of a request at a server or
of its answer at a process, or a timer that has run out. A timer that was cancelled is none.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

_PROCESS: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("process", default=None)
OUTSIDE = contextvars.Context()
"""The context of what runs in no simulated process: servers, the network, and the simulation itself."""
TASKS_MIN = 64
"""From this many tasks of a process on, those that have ended are forgotten now and then."""


class Deadlock(Exception):
    """Nothing is left to run, although the simulation has not ended."""


class Handle:
    """A callback that is to run, as asyncio's `Handle`, without what only debugging needs."""

    __slots__ = ("__weakref__", "args", "callback", "context", "is_cancelled")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.is_cancelled = False

    def cancel(self) -> None:
        """Do not run it."""
        self.is_cancelled = True
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it will not run."""
        return self.is_cancelled


class Process:
    """A simulated process: everything that runs in its context."""

    def __init__(self, loop: "SimulatedLoop", name: str) -> None:
        self._loop = loop
        self.name = name
        self.is_frozen = False
        self.is_dead = False
        self._tasks: list[asyncio.Task[Any]] = []
        self._tasks_most = TASKS_MIN
        self._held: deque[Handle] = deque()
        self.context = contextvars.Context()
        self.context.run(_PROCESS.set, self)

    def add(self, task: asyncio.Task[Any]) -> None:
        """Take note of a task of this process."""
        self._tasks.append(task)
        if len(self._tasks) > self._tasks_most:
            self._tasks = [one for one in self._tasks if not one.done()]
            self._tasks_most = max(TASKS_MIN, 2 * len(self._tasks))
        if self.is_dead:
            task.cancel()

    def hold(self, handle: Handle) -> None:
        """Keep what would run, until the process is thawed."""
        self._held.append(handle)

    def freeze(self) -> None:
        """Run nothing of the process any more; requests that are on their way arrive nevertheless (SIGSTOP)."""
        if not self.is_frozen:
            self.is_frozen = True
            self._loop.frozen += 1

    def thaw(self) -> None:
        """Run on. The clock has moved on meanwhile."""
        if self.is_frozen:
            self.is_frozen = False
            self._loop.frozen -= 1
            held, self._held = self._held, deque()
            self._loop.run_first(held)

    def kill(self) -> None:
        """End the process at the await where each of its tasks is; it sends nothing any more (SIGKILL)."""
        self.is_dead = True
        self.thaw()
        for task in self._tasks:  # in the order in which they began
            task.cancel()


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module.

    Attributes:
        steps: the number of steps until now.
        frozen: how many processes are frozen now.
        errors: what asyncio would have logged.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 1_000.0
        self.steps = 0
        self.frozen = 0
        self._timers: list[tuple[float, int, Handle]] = []
        self._timers_made = 0
        self._ready: deque[Handle] = deque()
        self.errors: list[dict[str, Any]] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """Run it in the next round."""
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """Run it after some seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """Run it at a time; what is due at the same time runs in the order of these calls."""
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context)
        self._timers_made += 1
        heapq.heappush(self._timers, (when, self._timers_made, handle))
        return handle

    def run_first(self, handles: deque[Handle]) -> None:
        """Run these before what is ready already."""
        self._ready.extendleft(reversed(handles))

    def run_in_executor(self, executor: Any, func: Any, *given: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run it at once: there are no threads."""
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(func(*given))
        except Exception as error:  # noqa: BLE001 - goes to the caller
            done.set_exception(error)
        return done

    def _make_task(self, loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        context = options.get("context")
        process = _PROCESS.get() if context is None else context.get(_PROCESS)
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, context=context)
        if process is not None:
            process.add(task)
        return task

    def _run_once(self) -> None:
        """Run rounds until the loop is stopped."""
        ready, timers, pop = self._ready, self._timers, heapq.heappop
        while True:
            if not ready:
                while timers and timers[0][2].is_cancelled:
                    pop(timers)
                if not timers:
                    raise Deadlock("nothing is left to run")
                self._now = max(self._now, timers[0][0])
            now = self._now
            while timers and timers[0][0] <= now:
                ready.append(pop(timers)[2])
            for _ in range(len(ready)):
                handle = ready.popleft()
                if handle.is_cancelled:
                    continue
                if self.frozen:
                    process = handle.context.get(_PROCESS)
                    if process is not None and process.is_frozen:
                        process.hold(handle)
                        continue
                self.steps += 1
                try:
                    handle.context.run(handle.callback, *handle.args)
                except Exception as error:  # noqa: BLE001 - as asyncio does
                    self.call_exception_handler({"message": f"exception in {handle.callback!r}", "exception": error})
            if self._stopping:  # type: ignore[attr-defined]
                return

    def _process_events(self, event_list: Any) -> None:
        """There are no events from outside."""

    def _write_to_self(self) -> None:
        """There are no other threads to wake this one."""


def current_process() -> Process | None:
    """The simulated process that runs now; None in servers and in the simulation itself."""
    return _PROCESS.get()
