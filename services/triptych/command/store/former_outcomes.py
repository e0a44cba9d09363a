"""Detects whether outcomes of an earlier version, whose ids have another form, are still stored."""

import time
from collections.abc import Callable

from triptych.command.store.documents import PROCESSED
from triptych.kit.mongo.driver import ASCENDING, Database

REFRESH_SECONDS = 3600.0
"""How long to rely on a look that found some; they expire within `TRIPTYCH_PROCESSED_RETENTION`."""


class FormerOutcomes:
    """Says whether commands must be looked up under both forms of id, which doubles the ids in a query."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._processed = database[PROCESSED]
        self._clock = clock
        self._exist = False
        self._refreshed_at = float("-inf")

    async def refresh(self) -> None:
        """Look in the database; called when partitions are taken over, perhaps from a process of an earlier version."""
        # The oldest outcome is enough: outcomes expire in the order in which they were written.
        oldest = await self._processed.find_one({}, {"fingerprint": 1}, sort=[("at", ASCENDING)])
        self._exist = oldest is not None and "fingerprint" not in oldest
        self._refreshed_at = self._clock()

    async def exist(self) -> bool:
        """Whether an earlier version's outcomes may still be stored."""
        if self._exist and self._clock() - self._refreshed_at > REFRESH_SECONDS:
            await self.refresh()
        return self._exist
