"""Writes outcomes of deliveries, many at a time, and repeats until MongoDB has them."""

import asyncio
import logging

from prometheus_client import Counter

from triptych.kit.mongo.driver import PyMongoError, UpdateOne, is_transient
from triptych.kit.process.waits import waiting_for
from triptych.webhooks.store.deliveries import DeliveryRepository

log = logging.getLogger(__name__)

LOST_LEASES = Counter("triptych_webhook_lost_leases_total", "Outcomes not written, since the lease had ended")
FIRST_DELAY_SECONDS = 0.05
LONGEST_DELAY_SECONDS = 2.0
WRITTEN_AT_ONCE = 1_000


class OutcomeWriter:
    """Collects outcomes while the last ones are being written. Whoever records waits, which bounds what collects."""

    def __init__(self, repository: DeliveryRepository) -> None:
        self._repository = repository
        self._waiting: list[tuple[UpdateOne, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()

    async def record(self, outcome: UpdateOne) -> None:
        """Return when the outcome is written, or its lease was found lost."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((outcome, done))
        self._wake.set()
        await done

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            part, self._waiting = self._waiting[:WRITTEN_AT_ONCE], self._waiting[WRITTEN_AT_ONCE:]
            if not self._waiting:
                self._wake.clear()
            with waiting_for("MongoDB to record outcomes of deliveries"):
                await self._finish(part)

    async def _finish(self, part: list[tuple[UpdateOne, asyncio.Future[None]]]) -> None:
        error: Exception | None = None
        try:
            await self._write([outcome for outcome, _ in part])
        except Exception as failure:  # noqa: BLE001 - whatever it is, it must not keep the others from being written
            if len(part) > 1:
                for one in part:
                    await self._finish([one])
                return
            error = failure
        for _, done in part:
            if done.done():  # whoever waited has been cancelled
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    async def _write(self, outcomes: list[UpdateOne]) -> None:
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                LOST_LEASES.inc(await self._repository.write(outcomes))
            except PyMongoError as error:
                if not is_transient(error):
                    raise
                log.warning("outcomes of %d deliveries wait for MongoDB: %s", len(outcomes), error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY_SECONDS)
            else:
                return
