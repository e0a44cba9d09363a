"""Knows whether outcomes are still stored that an earlier version wrote, which have keys of another form."""

import time
from collections.abc import Callable

from triptych.command.store.documents import PROCESSED
from triptych.kit.mongo.driver import ASCENDING, Database

LOOK_SECONDS = 3600.0
"""How long it is believed that there are some; they expire within `TRIPTYCH_PROCESSED_RETENTION`."""


class FormerOutcomes:
    """Until they have expired, every command is looked up in both forms: that doubles the ids in a query."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._processed = database[PROCESSED]
        self._clock = clock
        self._exist = False
        self._looked_at = float("-inf")

    async def look(self) -> None:
        """Look for some; called when partitions are taken over, perhaps from a process of an earlier version."""
        # The oldest tells: outcomes expire in the order in which they were written.
        oldest = await self._processed.find_one({}, {"fingerprint": 1}, sort=[("at", ASCENDING)])
        self._exist = oldest is not None and "fingerprint" not in oldest
        self._looked_at = self._clock()

    async def exist(self) -> bool:
        """Whether there are some."""
        if self._exist and self._clock() - self._looked_at > LOOK_SECONDS:
            await self.look()
        return self._exist
