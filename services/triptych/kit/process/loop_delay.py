"""Measures the delay of the event loop: how much later than asked a task runs, because others occupy the process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Histogram

from triptych.kit.process.cancelling import cancel_all

INTERVAL_SECONDS = 0.1
"""A delay that is longer is always seen. A shorter one is seen in proportion to its length."""
# uvloop's timers have a resolution of a millisecond. Large batches occupy the loop for some 0.1 s.
DELAY_SECONDS = Histogram(
    "triptych_event_loop_delay_seconds",
    "How much later than asked a task runs, sampled ten times a second",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


@asynccontextmanager
async def measuring_loop_delay() -> AsyncIterator[None]:
    """Measure until the block ends."""
    task = asyncio.create_task(_measure(), name="delay of the event loop")
    try:
        yield
    finally:
        await cancel_all([task])


async def _measure() -> None:
    while True:
        due = time.monotonic() + INTERVAL_SECONDS
        await asyncio.sleep(INTERVAL_SECONDS)
        DELAY_SECONDS.observe(max(0.0, time.monotonic() - due))
