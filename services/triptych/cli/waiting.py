"""Says on stderr what a command waits for, so that no command waits silently."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from triptych.kit.backoff import Backoff
from triptych.kit.failures import NotYetAvailable

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 2.0
T = TypeVar("T")
FIRST_SECONDS, AGAIN_SECONDS = 3.0, 10.0
"""When a wait is reported, and after which time it is reported again."""


@asynccontextmanager
async def announced_wait(what: str) -> AsyncIterator[None]:
    """Report the block as a wait for `what` as long as it lasts, first after `FIRST_SECONDS`."""
    announcing = asyncio.create_task(_announce(what))
    try:
        yield
    finally:
        announcing.cancel()


async def _announce(what: str) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(FIRST_SECONDS)
    while True:
        print(f"triptych: waiting for {what}, for {loop.time() - began:.0f} s", file=sys.stderr, flush=True)
        await asyncio.sleep(AGAIN_SECONDS)


async def repeated_within(wait_seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work`, which is repeated while what it needs is not available yet.

    Args:
        wait_seconds: when to give up. An attempt that has begun by then is not interrupted.
        work: may be repeated.

    Raises:
        NotYetAvailable: it is not available in time.
    """
    ends = time.monotonic() + wait_seconds
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    while True:
        try:
            return await work()
        except NotYetAvailable as problem:
            if time.monotonic() >= ends:
                raise
            print(f"waiting: {problem}", file=sys.stderr, flush=True)
        await backoff.pause()
