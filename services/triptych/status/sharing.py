"""Keeps a value that is costly to compute for a moment, for all who ask for it: one computation at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """The last result of `compute`. Nothing is computed unless somebody asks."""

    def __init__(
        self, compute: Callable[[], Awaitable[T]], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`seconds` is how long a result is given to others who ask."""
        self._compute = compute
        self._seconds = seconds
        self._clock = clock
        self._turn = asyncio.Lock()
        self._kept: tuple[float, T] | None = None

    async def get(self) -> T:
        """A result that is not older than `seconds` when it is given. Raises what `compute` raises, which is not kept.

        Who asks while another waits for the same computation gets its result.
        """
        async with self._turn:
            if self._kept is not None and self._clock() - self._kept[0] < self._seconds:
                return self._kept[1]
            result = await self._compute()
            self._kept = (self._clock(), result)
            return result
