"""Waiting by condition, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
DEADLINE_SECONDS = 20.0


async def eventually(
    condition: Callable[[], Awaitable[T | None]], what: str, *, deadline_seconds: float = DEADLINE_SECONDS
) -> T:
    """The first truthy answer of `condition`. Raises AssertionError naming `what` when the deadline passes."""
    ends = time.monotonic() + deadline_seconds
    while True:
        answer = await condition()
        if answer:
            return answer
        if time.monotonic() > ends:
            raise AssertionError(f"not within {deadline_seconds:g} s: {what} (last answer: {answer!r})")
        await asyncio.sleep(0.02)
