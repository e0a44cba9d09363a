"""Runs coroutines concurrently, waits for all of them, and then raises the most important failure."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from triptych.kit.failures import OwnershipLost


async def run_all(coroutines: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all to their end. A single coroutine is awaited without the cost of a task.

    Raises:
        OwnershipLost: at least one raised it: it decides what happens next.
        Exception: otherwise, what the first failed one in the given order raised.
    """
    if len(coroutines) == 1:
        await coroutines[0]
        return
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    failures = [result for result in results if result is not None]
    if failures:
        raise next((failure for failure in failures if isinstance(failure, OwnershipLost)), failures[0])
