"""Computes and waits the pauses between attempts: longer after each failure, up to a limit, and ended by an event."""

import asyncio
import contextlib
import random


def pause_after(failures: int, first: float, longest: float) -> float:
    """The seconds to wait after this many failures in a row, at least one: `first`, and each time twice as long."""
    return min(longest, first * 2.0 ** min(failures - 1, 60))


class Backoff:
    """The pauses of one piece of work that is repeated until it succeeds.

    Each pause is shortened at random by up to a half, so that processes that failed together do not come back together.
    """

    def __init__(self, first: float, longest: float) -> None:
        """`first` and `longest` are the seconds of the first pause and of the longest one."""
        self._first = first
        self._longest = longest
        self._failures = 0

    def reset(self) -> None:
        """Begin again with the first pause: the work has succeeded."""
        self._failures = 0

    def next_pause(self) -> float:
        """Count a failure. Returns the seconds to wait before the next attempt."""
        self._failures += 1
        return pause_after(self._failures, self._first, self._longest) * random.uniform(0.5, 1.0)  # noqa: S311

    async def pause(self, interrupted: asyncio.Event | None = None) -> None:
        """Count a failure, and wait before the next attempt. The wait ends early when `interrupted` is set."""
        if interrupted is None:
            await asyncio.sleep(self.next_pause())
        else:
            await is_set_within(interrupted, self.next_pause())


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait until the event is set, for at most `seconds`. Returns whether it is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
