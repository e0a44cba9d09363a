"""Says on stderr what a command waits for, so that no command waits silently."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
