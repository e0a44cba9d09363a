"""Opens the dead letters for one request at a time, and turns failures of Kafka into failures of the request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from triptych.deadletters.administration import OpenDeadLetters
from triptych.gateway.http.errors import RETRY_AFTER, HttpFailure
from triptych.kit.failures import StartRefused, TransientFailure
from triptych.kit.logs.loggers import error_text, get_logger

log = get_logger(__name__)

READERS_MAX = 2
"""How many requests read dead letters at the same time: each may have tens of megabytes in memory."""
REQUEST_SECONDS = 40.0
"""How long one request may take, its turn included."""


class Letters(Protocol):
    """The dead letters of an installation."""

    def open(self) -> AbstractAsyncContextManager[OpenDeadLetters]: ...


class FailFast(Protocol):
    """What limits a block that needs Kafka."""

    def fail_fast(self, seconds: float) -> AbstractAsyncContextManager[None]: ...


class LetterAccess:
    """The dead letters, for requests."""

    def __init__(self, letters: Letters, monitor: FailFast) -> None:
        self._letters = letters
        self._monitor = monitor
        self._turns = asyncio.Semaphore(READERS_MAX)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OpenDeadLetters]:
        """Read dead letters in the block. Raises HttpFailure (503) if Kafka is away, or others take too long."""
        try:
            async with self._monitor.fail_fast(REQUEST_SECONDS), self._turns, self._letters.open() as opened:
                yield opened
        except (TransientFailure, StartRefused) as failure:
            log.warning("dead letters cannot be read or replayed", error=error_text(failure))
            raise HttpFailure(503, RETRY_AFTER) from failure
