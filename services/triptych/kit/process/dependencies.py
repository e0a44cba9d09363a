"""Asks the servers that this process depends on whether they answer, before a standstill is blamed on the process."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

Ask: TypeAlias = Callable[[], Awaitable[str | None]]
"""Returns None if the server does its work, otherwise the problem in words. It may also raise, or take too long."""
ANSWER_SECONDS = 5.0


class Dependencies:
    """The servers that a process depends on."""

    def __init__(self) -> None:
        self._asks: list[Ask] = []

    @contextlib.contextmanager
    def on(self, *asks: Ask) -> Iterator[None]:
        """Include these servers as long as the block runs."""
        self._asks += asks
        try:
            yield
        finally:
            for ask in asks:
                self._asks.remove(ask)

    async def away(self) -> str | None:
        """Why a server does not do its work, in words; None if all do. Takes `ANSWER_SECONDS` at most."""
        return next((problem for problem in await asyncio.gather(*map(_problem, self._asks)) if problem), None)


async def _problem(ask: Ask) -> str | None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await ask()
    except Exception as error:  # noqa: BLE001 - a server that cannot be asked for any reason does not answer
        return repr(error)


DEPENDENCIES = Dependencies()
"""The dependencies of this process."""
