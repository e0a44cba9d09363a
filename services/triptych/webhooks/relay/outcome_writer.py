"""Writes outcomes of deliveries in chunks, and repeats each write until MongoDB has acknowledged it."""

import asyncio
import logging

from prometheus_client import Counter

from triptych.kit.backoff import Backoff
from triptych.kit.failures import Fault, fault_of
from triptych.kit.mongo.driver import UpdateOne
from triptych.kit.process.supervision import progress
from triptych.kit.process.waits import waiting_for
from triptych.webhooks.store.deliveries import DeliveryRepository

log = logging.getLogger(__name__)

LOST_LEASES = Counter("triptych_webhook_lost_leases_total", "Outcomes not written because the lease had ended")
FIRST_DELAY_SECONDS = 0.05
LONGEST_DELAY_SECONDS = 2.0
WRITTEN_AT_ONCE = 1_000


class OutcomeWriter:
    """Collects outcomes during a write, and writes them together. Callers wait, which bounds the collection."""

    def __init__(self, repository: DeliveryRepository) -> None:
        self._repository = repository
        self._waiting: list[tuple[UpdateOne, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()

    async def record(self, outcome: UpdateOne) -> None:
        """Return when the outcome is written, or is dropped because its lease was lost."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((outcome, done))
        self._wake.set()
        await done

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            progress()
            await self._wake.wait()
            chunk, self._waiting = self._waiting[:WRITTEN_AT_ONCE], self._waiting[WRITTEN_AT_ONCE:]
            if not self._waiting:
                self._wake.clear()
            with waiting_for("MongoDB to record outcomes of deliveries"):
                await self._finish(chunk)

    async def _finish(self, chunk: list[tuple[UpdateOne, asyncio.Future[None]]]) -> None:
        error: Exception | None = None
        try:
            await self._write([outcome for outcome, _ in chunk])
        except Exception as failure:  # noqa: BLE001 - no error may keep the other outcomes from being written
            if len(chunk) > 1:
                for one in chunk:
                    await self._finish([one])
                return
            error = failure
        for _, done in chunk:
            if done.done():  # the caller was cancelled
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    async def _write(self, outcomes: list[UpdateOne]) -> None:
        backoff = Backoff(FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS)
        while True:
            try:
                LOST_LEASES.inc(await self._repository.write(outcomes))
            except Exception as error:
                if fault_of(error) is Fault.OURS:
                    raise
                log.warning("%d outcomes of deliveries wait for MongoDB: %s", len(outcomes), error)
                await backoff.pause()
            else:
                return
