"""Writes outcomes of deliveries in chunks, and repeats each write until MongoDB has acknowledged it."""

from collections.abc import Sequence

from prometheus_client import Counter

from triptych.kit.chunks import by_count
from triptych.kit.failures import Fault, fault_of
from triptych.kit.mongo.driver import UpdateOne
from triptych.kit.process.coalescer import Caller, Coalescer, add_and_wait, answer
from triptych.kit.process.supervision import progress
from triptych.webhooks.store.deliveries import DeliveryRepository

LOST_LEASES = Counter("triptych_webhook_lost_leases_total", "Outcomes not written because the lease had ended")
WRITTEN_AT_ONCE = 1_000


class OutcomeWriter:
    """Collects outcomes during a write, and writes them together. Callers wait, which bounds the collection."""

    def __init__(self, repository: DeliveryRepository) -> None:
        self._repository = repository
        self._outcomes = Coalescer("MongoDB to record outcomes of deliveries", self._write)

    async def record(self, outcome: UpdateOne) -> None:
        """Return when the outcome is written, or is dropped because its lease was lost."""
        await add_and_wait(self._outcomes, outcome)

    async def stop(self) -> None:
        """Write nothing more; no caller waits any longer."""
        await self._outcomes.stop()

    async def _write(self, callers: Sequence[Caller[UpdateOne]]) -> None:
        """Write the outcomes that are not written yet. Raises the error of a dependency; the call is then repeated."""
        for chunk in by_count([one for one in callers if one.done.cancelled() or not one.done.done()], WRITTEN_AT_ONCE):
            try:
                LOST_LEASES.inc(await self._repository.write([one.item for one in chunk]))
            except Exception as error:
                if fault_of(error) is not Fault.OURS:
                    raise
                if len(chunk) == 1:
                    answer(chunk, error)
                    continue
                for one in chunk:
                    await self._write([one])  # no error may keep the other outcomes from being written
            else:
                answer(chunk)
                progress()
