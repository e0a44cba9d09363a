"""Collects items now, and flushes them together in the background: one round trip for the work of many callers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from triptych.kit.backoff import Backoff
from triptych.kit.failures import Fault, fault_of
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.supervision import SUPERVISOR, progress, unlimited
from triptych.kit.process.waits import Trouble

log = get_logger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0
T = TypeVar("T")


class Coalescer(Generic[T]):
    """The items that wait for their flush, in order. One flush runs at a time; what comes meanwhile shares the next.

    Items whose flush has failed are flushed again, with those that came since. So they stay until a flush succeeds, and
    a crash loses them: flush what can be lost, or let callers wait for the outcome (`add_and_wait`).
    """

    def __init__(self, what: str, flush: Callable[[list[T]], Awaitable[None]], delay_seconds: float = 0.0) -> None:
        """`what` is waited for, in words; `flush` gets all items. After the first one, it waits for `delay_seconds`."""
        self._what = what
        self._flush = flush
        self._delay = delay_seconds
        self._items: list[T] = []
        self._flushing = asyncio.Lock()
        self._has_items = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._trouble = Trouble(what)

    def add(self, items: Iterable[T]) -> None:
        """Flush these items soon."""
        self._items += items
        if self._items:
            self._has_items.set()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._supervised())

    def discard(self) -> None:
        """Drop the items that wait."""
        self._items = []

    async def flush(self) -> None:
        """Flush now, after a flush that runs already. Raises what the flush raises; its items wait again."""
        async with self._flushing:
            items, self._items = self._items, []
            if not items:
                return
            try:
                await self._flush(items)
            except BaseException:
                self._items[:0] = items
                raise

    async def finish(self, seconds: float) -> bool:
        """Flush in one attempt of at most `seconds`, and no more in the background. Returns whether all is flushed."""
        try:
            async with asyncio.timeout(seconds):
                await self.flush()
        except Exception as error:  # noqa: BLE001 - the caller goes on in any case
            log.warning("a wait was given up", waits_for=self._what, error=error)
        await self.stop()
        return not self._items

    async def stop(self) -> None:
        """Flush nothing more in the background. A flush that runs is cancelled; its items wait again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self._trouble.end()

    async def _supervised(self) -> None:
        async with SUPERVISOR.running(f"flushing ({self._what})", self._run) as running:
            await asyncio.wait({running})

    async def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            progress()
            while not self._items:
                self._has_items.clear()
                with unlimited():
                    await self._has_items.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            self._trouble.begin()
            try:
                await self.flush()
            except Exception as error:
                if fault_of(error) is Fault.OURS:
                    log.exception("a flush failed, and is tried again", waits_for=self._what)
                else:
                    log.info("a flush waits for a dependency", waits_for=self._what, error=error)
                await backoff.pause()
            else:
                self._trouble.end()
                backoff.reset()


class Caller(NamedTuple, Generic[T]):
    """An item whose caller waits until `done` has the outcome of the item."""

    item: T
    done: asyncio.Future[None]


async def add_and_wait(coalescer: Coalescer[Caller[T]], item: T) -> None:
    """Add an item, and wait for its outcome: return, or raise what `answer` was given."""
    caller = Caller(item, asyncio.get_running_loop().create_future())
    coalescer.add([caller])
    await caller.done


def answer(callers: Iterable[Caller[T]], error: Exception | None = None) -> None:
    """Tell callers that their items are flushed, or why not. Callers that gave up are passed over."""
    for caller in callers:
        if caller.done.done():
            continue
        if error is None:
            caller.done.set_result(None)
        else:
            caller.done.set_exception(error)
