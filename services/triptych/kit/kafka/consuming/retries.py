"""Repeats the work of one consumer until it succeeds or the consumer's partitions are taken away."""

import asyncio
from collections.abc import Awaitable, Callable

from triptych.kit.backoff import Backoff
from triptych.kit.failures import BriefStop
from triptych.kit.kafka.consuming.batch_metrics import BatchMetrics
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.supervision import Progress

log = get_logger(__name__)

FIRST_DELAY_SECONDS = 0.05
# Short enough that the next reply comes within 5 s of a dependency's return.
LONGEST_DELAY_SECONDS = 2.0


class Retries:
    """The retries of one consumer, and why its last attempt failed."""

    def __init__(self, topic: str, metrics: BatchMetrics, progress: Progress) -> None:
        self.interrupted = asyncio.Event()
        """Set when the assignment of partitions ends: nothing is tried again, and unfinished records are abandoned."""
        self.trouble = ""
        """Why the last attempt failed; empty if it succeeded."""
        self._topic = topic
        self._metrics = metrics
        self._progress = progress

    @staticmethod
    def backoff() -> Backoff:
        """The pauses between the attempts at one piece of work."""
        return Backoff(FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS)

    async def until_done(
        self, work: Callable[[], Awaitable[None]], recover: Callable[[Exception], Awaitable[None]] | None = None
    ) -> bool:
        """Repeat this work until it succeeds; False if the assignment ended first.

        Args:
            work: raises an exception of any kind if it has to be repeated.
            recover: called with the exception before the next attempt.
        """
        backoff = self.backoff()
        while not self.interrupted.is_set():
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - nothing may be committed before this work has succeeded
                self.failed(error)
                if isinstance(error, BriefStop):
                    backoff.reset()
                await backoff.pause(self.interrupted)
                if recover is not None:
                    await recover(error)
            else:
                self.trouble = ""
                return True
        return False

    def failed(self, error: Exception) -> None:
        """Report that an attempt has failed, and that there will be another one."""
        self._metrics.failed(error)
        if not self.trouble:
            log.warning("the consumer waits for a dependency", topic=self._topic, error=error)
        self.trouble = str(error)
        self._progress.note()
