"""Owns one lock for each key: tasks that need the same key take turns, in the order in which they asked."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Generic, TypeVar

Key = TypeVar("Key", int, tuple[str, int])


class KeyedLocks(Generic[Key]):
    """Locks by key, for example by partition. A lock is made when it is first needed, and stays."""

    def __init__(self) -> None:
        self._locks: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def of(self, keys: Iterable[Key]) -> AsyncIterator[None]:
        """Lock these keys until the block ends. Blocks whose keys differ run concurrently."""
        async with AsyncExitStack() as locks:
            for key in sorted(set(keys)):  # in a fixed order, so that no two tasks wait for each other
                await locks.enter_async_context(self._locks[key])
            yield
