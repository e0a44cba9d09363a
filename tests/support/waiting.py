"""Waits for a condition, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
DEADLINE_SECONDS = 20.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 0.1


async def eventually(
    condition: Callable[[], Awaitable[T | None]], what: str, *, deadline_seconds: float = DEADLINE_SECONDS
) -> T:
    """The first truthy answer of `condition`. Raises AssertionError naming `what` when the deadline passes."""
    deadline = time.monotonic() + deadline_seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        looked_at = time.monotonic()
        answer = await condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {deadline_seconds:g} s: {what} (last answer: {answer!r})")
        # What takes long is looked at less often, and so is what is costly to look at: looking takes the time of those
        # that are waited for.
        await asyncio.sleep(max(pause, time.monotonic() - looked_at))
        pause = min(1.2 * pause, LONGEST_PAUSE_SECONDS)
