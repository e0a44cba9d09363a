"""Waits for a condition, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
DEADLINE_SECONDS = 20.0


async def eventually(
    condition: Callable[[], Awaitable[T | None]], what: str, *, deadline_seconds: float = DEADLINE_SECONDS
) -> T:
    """The first truthy result of `condition`. Raises AssertionError with `what` when the deadline passes."""
    deadline = time.monotonic() + deadline_seconds
    while True:
        answer = await condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {deadline_seconds:g} s: {what} (last answer: {answer!r})")
        await asyncio.sleep(0.02)
