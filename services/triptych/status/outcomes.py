"""Reads the stored outcome of a command."""

from datetime import datetime
from typing import Any, NamedTuple

from triptych.command.domain.unit_of_work import CommandKey
from triptych.command.store.documents import PROCESSED
from triptych.kit.mongo.driver import Database


class Outcome(NamedTuple):
    """When a command was carried out, and its reply as on the topic; the reply is None while its job is running."""

    at: datetime
    reply: dict[str, Any] | None


async def read_outcome(database: Database, site_id: str, source: str | None, command_id: str) -> Outcome | None:
    """The outcome of a command; None if it is not stored, or no longer. Raises the driver's errors."""
    key = str(CommandKey(site_id, source, command_id))
    found = await database[PROCESSED].find_one({"_id": key}, {"at": 1, "reply": 1})
    return None if found is None else Outcome(found["at"], found.get("reply"))
