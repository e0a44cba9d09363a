"""Keeps who waits for what: each waiter is found by its key as long as its request lasts."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
W = TypeVar("W")


class Waiters(Generic[K, W]):
    """Waiters by key. Several requests may wait for one key."""

    def __init__(self) -> None:
        self._waiting: dict[K, list[W]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting_for(self, key: K) -> Sequence[W]:
        """Those that wait for this key."""
        return self._waiting.get(key, ())

    @contextmanager
    def waiting(self, key: K, waiter: W) -> Iterator[W]:
        """Register the waiter until the block ends. Enter before sending what is to be answered."""
        waiters = self._waiting.setdefault(key, [])
        waiters.append(waiter)
        try:
            yield waiter
        finally:
            waiters.remove(waiter)
            if not waiters:
                del self._waiting[key]
