"""Follows the events topic while streams are open: one feed for all of them, opened for the first one."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from triptych.gateway.live.feed import TopicFeed
from triptych.kit.backoff import Backoff
from triptych.kit.failures import Fault, TransientFailure, fault_of
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.supervision import progress, unlimited

log = get_logger(__name__)

IDLE_SECONDS = 60.0
"""How long events are read after the last stream has ended: clients resume their streams soon."""
POLL_SECONDS = 5.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 5.0


class EventFeed:
    """The feed of events, and how many streams need it. `run` opens and closes it."""

    def __init__(
        self, open_feed: Callable[[], AbstractAsyncContextManager[TopicFeed]], idle_seconds: float | None = None
    ) -> None:
        """`open_feed` opens a feed from the end of the topic. It raises TransientFailure or StartRefused.

        The feed stays open for `idle_seconds` after the last stream; `IDLE_SECONDS` if not given.
        """
        self._open_feed = open_feed
        self._idle_seconds = IDLE_SECONDS if idle_seconds is None else idle_seconds
        self._users = 0
        self._left_at = 0.0
        self._needed = asyncio.Event()
        self._opened: asyncio.Future[None] | None = None
        self._feed: TopicFeed | None = None

    @property
    def problem(self) -> str | None:
        """Why events are not read although a stream is open; None otherwise."""
        return self._feed.problem if self._feed is not None else None

    @property
    def is_open(self) -> bool:
        """Whether events are read."""
        return self._feed is not None

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Every event that is published while the block runs is read.

        Raises:
            TransientFailure: Kafka does not answer.
        """
        self._users += 1
        try:
            if self._opened is None:
                self._opened = asyncio.get_running_loop().create_future()
                self._needed.set()
            # A stream that gives up must not end the wait of others.
            await asyncio.shield(self._opened)
            yield
        finally:
            self._users -= 1
            self._left_at = time.monotonic()

    async def run(self) -> None:
        """Open the feed whenever a stream needs it, and close it some time after the last one, until cancelled."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        try:
            while True:
                progress()
                with unlimited():
                    await self._needed.wait()
                try:
                    await self._follow()
                    backoff.reset()
                except Exception as error:
                    self._close(error)
                    if fault_of(error) is Fault.OURS:
                        raise
                    await backoff.pause()
        finally:
            self._close(TransientFailure("the gateway does not read events"))

    async def _follow(self) -> None:
        async with self._open_feed() as feed:
            self._feed = feed
            if self._opened is not None and not self._opened.done():
                self._opened.set_result(None)
            while self._users or time.monotonic() - self._left_at < self._idle_seconds:
                progress()
                await asyncio.sleep(min(POLL_SECONDS, self._idle_seconds))
            # Before the next await: a stream that opens while this feed closes gets another one.
            self._close()

    def _close(self, error: Exception | None = None) -> None:
        opened, self._opened, self._feed = self._opened, None, None
        self._needed.clear()
        if opened is not None and not opened.done():
            failure = TransientFailure(f"events cannot be read: {error!r}")
            failure.__cause__ = error
            opened.set_exception(failure)
            opened.exception()  # each stream that waits gets it; without one, nobody has to
