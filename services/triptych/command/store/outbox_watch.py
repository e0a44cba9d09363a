"""Reports events that stay in the outbox although Kafka and MongoDB answer."""

import asyncio
import time
from collections.abc import Callable, Iterable

from prometheus_client import Gauge

from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import ASCENDING, Database, PyMongoError
from triptych.kit.process.dependencies import DEPENDENCIES
from triptych.kit.process.supervision import progress

log = get_logger(__name__)

OLDEST = Gauge(
    "triptych_outbox_oldest_seconds",
    "How long the oldest events of this process's partitions have been in the outbox, not published or not marked",
)
INTERVAL_SECONDS = 10.0
WAITING_SECONDS = 60.0
"""Events that are in the outbox for longer make the process unready. Usually they stay for 0.1 s."""


class OutboxWatch:
    """Looks at the oldest pending row of each partition at regular intervals."""

    def __init__(
        self,
        database: Database,
        partitions: Callable[[], Iterable[int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`partitions` returns those that this process owns now."""
        self._rows = database["outbox"]
        self._partitions = partitions
        self._clock = clock
        self._seen: dict[str, float] = {}
        """When each of the oldest rows was first seen, by row id."""
        self.problem: str | None = None
        """Which events wait, and for how long; None if none does."""

    async def run(self) -> None:
        """Look at each interval until cancelled. If MongoDB is away, other checks report it."""
        while True:
            progress()
            try:
                await self.look()
            except PyMongoError as error:
                self._seen = {}
                log.debug("the outbox cannot be looked at", error=error)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def look(self) -> None:
        """Look once. Raises the driver's errors."""
        oldest = {}
        for partition in sorted(self._partitions()):
            # The index has exactly these rows in this order, so a backlog costs no more than one row.
            row = await self._rows.find_one(
                {"partition": partition, "pending": True},
                {"_id": 1},
                sort=[("epoch", ASCENDING), ("number", ASCENDING)],
            )
            if row is not None:
                oldest[row["_id"]] = partition
        now = self._clock()
        self._seen = {row_id: self._seen.get(row_id, now) for row_id in oldest}
        seconds = {oldest[row_id]: now - since for row_id, since in self._seen.items()}
        longest = max(seconds.values(), default=0.0)
        OLDEST.set(longest)
        if longest < WAITING_SECONDS:
            self._report(None)
        elif not await DEPENDENCIES.away():
            named = ", ".join(str(partition) for partition, age in sorted(seconds.items()) if age >= WAITING_SECONDS)
            self._report(f"events of partitions {named} have waited in the outbox, for up to {longest:.0f} s")

    def _report(self, problem: str | None) -> None:
        if problem is not None and self.problem is None:
            log.error("events have waited in the outbox", problem=problem)
        self.problem = problem
