"""Owns the stored retention of the history: how far back it can be trusted, and whether there is one at all."""

from datetime import datetime, timedelta
from typing import NamedTuple

from triptych.history.documents import HISTORY_STATE, STATE_ID
from triptych.kit.mongo.driver import Database
from triptych.kit.process.clock import utc_now


class Retention(NamedTuple):
    """How long superseded rows are kept; `horizon` is a time since which no row was removed."""

    kept: timedelta
    horizon: datetime

    @property
    def trusted_since(self) -> datetime:
        """Rows that were superseded after this time are still there."""
        return max(self.horizon, utc_now() - self.kept)


async def read_retention(database: Database) -> Retention | None:
    """The retention in force; None if no history is written. Raises the driver's errors."""
    found = await database[HISTORY_STATE].find_one({"_id": STATE_ID})
    if found is None or not found["seconds"]:
        return None
    return Retention(timedelta(seconds=found["seconds"]), found["horizon"])
