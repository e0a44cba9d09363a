"""An event loop in virtual time, on which simulated processes run that can be frozen and killed.

Nothing on it depends on the machine: it never waits, and callbacks run in the order in which asyncio promises to run
them. What happens in which order is decided by the models of the servers, which draw every delay from one seed.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from typing import Any

_PROCESS: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("process", default=None)
OUTSIDE = contextvars.Context()
"""The context of what runs in no simulated process: servers, the network, and the simulation itself."""
AGAIN_MAX = 50
"""How often a killed task is cancelled that goes on nevertheless."""


class Deadlock(Exception):
    """Nothing is left to run, although the simulation has not ended."""


class Process:
    """A simulated process: everything that runs in its context."""

    def __init__(self, loop: "SimulatedLoop", name: str) -> None:
        self._loop = loop
        self.name = name
        self.is_frozen = False
        self.is_dead = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.client_ids = 0
        self._held: deque[asyncio.Handle] = deque()
        self.context = contextvars.Context()
        self.context.run(_PROCESS.set, self)

    def hold(self, handle: asyncio.Handle) -> None:
        """Keep what would run, until the process is thawed."""
        self._held.append(handle)

    def freeze(self) -> None:
        """Run nothing of the process any more; requests that are on their way arrive nevertheless (SIGSTOP)."""
        self.is_frozen = True

    def thaw(self) -> None:
        """Run on. The clock has moved on meanwhile."""
        self.is_frozen = False
        held, self._held = self._held, deque()
        self._loop.run_first(held)

    def kill(self) -> None:
        """End the process at the await where each of its tasks is; it sends nothing any more (SIGKILL)."""
        self.is_dead = True
        self.thaw()
        for task in sorted(self.tasks, key=lambda task: task.get_name()):
            task.cancel()


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module. `steps` counts the callbacks that have run."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1_000.0
        self.steps = 0
        self._made = 0
        self._ready: deque[asyncio.Handle]
        self._scheduled: list[asyncio.TimerHandle]
        self._timer_cancelled_count: int
        self.errors: list[dict[str, Any]] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._now

    def run_first(self, handles: deque[asyncio.Handle]) -> None:
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
        process = (context or contextvars.copy_context()).get(_PROCESS)
        # By number: the order in which tasks are killed must not depend on where they are in memory.
        self._made += 1
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, name=f"{self._made:08}", context=context)
        if process is not None:
            process.tasks.add(task)
            task.add_done_callback(process.tasks.discard, context=OUTSIDE)
            if process.is_dead:
                task.cancel()
        return task

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0].cancelled():
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False  # type: ignore[attr-defined]
        if not ready:
            if not scheduled:
                raise Deadlock("nothing is left to run")
            self._now = max(self._now, scheduled[0].when())
        while scheduled and scheduled[0].when() <= self._now:
            handle: asyncio.Handle = heapq.heappop(scheduled)
            handle._scheduled = False  # type: ignore[attr-defined]
            if handle.cancelled():
                self._timer_cancelled_count -= 1
            else:
                ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled():
                continue
            process = handle._context.get(_PROCESS)  # type: ignore[attr-defined]
            if process is not None and process.is_frozen:
                process.hold(handle)
                continue
            self.steps += 1
            handle._run()

    def _process_events(self, event_list: Any) -> None:
        """There are no events from outside."""

    def _write_to_self(self) -> None:
        """There are no other threads to wake this one."""


def current_process() -> Process | None:
    """The simulated process that runs now; None in servers and in the simulation itself."""
    return _PROCESS.get()
