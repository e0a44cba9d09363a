"""Reads the state of the command service's work for operators: jobs, parked commands, and the outbox."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from triptych.command.store.documents import JOBS, PARKED
from triptych.contract.base import format_instant
from triptych.kit.mongo.driver import ASCENDING, Database, Document

COUNT_MAX = 100_000
"""The largest count of rows that is exact; a larger backlog counts as this many."""
_WITHOUT_RECORD = {"record": 0}


class JobState(StrEnum):
    """The state of a job, as operators see it."""

    RUNNING = "running"
    FAILING = "failing"
    """Its last step failed. The step is repeated, until the job is given up."""
    FINISHING = "finishing"
    """Its steps are done. The commands that waited for it are carried out."""


@dataclass(frozen=True, slots=True)
class OutboxState:
    """The events that are committed and not marked as published: rows, and the time of the oldest row's first event."""

    rows: int
    oldest: str | None
    """ISO 8601; None without rows, or if the oldest row has a snapshot, whose records have no time."""


class Overview:
    """The work of one installation. All methods raise the driver's errors."""

    def __init__(self, database: Database) -> None:
        self._outbox = database["outbox"]
        self._jobs = database[JOBS]
        self._parked = database[PARKED]

    async def outbox(self) -> OutboxState:
        """The pending rows of all partitions."""
        # The partition is named so that the index of pending rows serves both queries.
        pending = {"pending": True, "partition": {"$gte": 0}}
        rows = await self._outbox.count_documents(pending, limit=COUNT_MAX)
        oldest = None
        if rows:
            partitions = await self._outbox.distinct("partition", pending)
            times = [time for partition in partitions if (time := await self._oldest(partition)) is not None]
            oldest = min(times, default=None)
        return OutboxState(rows, oldest)

    async def _oldest(self, partition: int) -> str | None:
        row = await self._outbox.find_one(
            {"partition": partition, "pending": True},
            {"events": {"$slice": 1}},
            sort=[("epoch", ASCENDING), ("number", ASCENDING)],
        )
        time = row["events"][0]["headers"].get("ce_time") if row else None
        return bytes(time).decode() if isinstance(time, bytes) else None

    async def jobs(self, state: JobState | None, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` jobs, oldest first, as `job_wire`."""
        found = self._jobs.find({}, _WITHOUT_RECORD).sort([("startedAt", ASCENDING), ("_id", ASCENDING)])
        shown: list[dict[str, Any]] = []
        async for document in found:
            if state is None or state_of(document) is state:
                shown.append(job_wire(document))
                if len(shown) == limit:
                    break
        return shown

    async def jobs_with_progress(self, limit: int) -> list[dict[str, Any]]:
        """The oldest jobs, as `job_wire`, each with the numbers among the state that its steps keep."""
        found = self._jobs.find({}, _WITHOUT_RECORD).sort([("startedAt", ASCENDING), ("_id", ASCENDING)]).limit(limit)
        return [{**job_wire(document), "progress": _numbers(document.get("state"))} async for document in found]

    async def job(self, job_id: str) -> dict[str, Any] | None:
        """One job with the state that its steps keep, and the number of commands that wait for it; None if it ended."""
        document = await self._jobs.find_one({"_id": job_id}, _WITHOUT_RECORD)
        if document is None:
            return None
        waiting = await self._parked.count_documents({"galleryId": document.get("galleryId")}, limit=COUNT_MAX)
        return {**job_wire(document), "waitingCommands": waiting, "progress": _plain(document.get("state"))}

    async def count_parked(self) -> int:
        """The number of commands that wait for jobs."""
        return await self._parked.count_documents({}, limit=COUNT_MAX)


def state_of(document: Mapping[str, Any]) -> JobState:
    """The state of a stored job."""
    if document.get("failures"):
        return JobState.FAILING
    return JobState.FINISHING if document.get("isDone") else JobState.RUNNING


def job_wire(document: Document) -> dict[str, Any]:
    """A job as operators see it. A damaged document gives what can be read of it."""
    site, _, rest = str(document["_id"]).partition(":")
    return {
        "id": document["_id"],
        "kind": document.get("kind"),
        "siteId": site if rest else None,
        "galleryId": document.get("galleryId"),
        "partition": document.get("partition"),
        "state": state_of(document).value,
        "steps": document.get("step", 0),
        "startedDate": _instant(document.get("startedAt")),
        "failures": document.get("failures", 0),
        "failingSince": _instant(document.get("failingSince")),
    }


def _instant(value: object) -> str | None:
    return format_instant(value) if isinstance(value, datetime) else None


def _numbers(state: Any) -> dict[str, int]:
    """The counts in the state of a job. Ids and cursors mean nothing to people."""
    members = state.items() if isinstance(state, Mapping) else ()
    return {str(name): value for name, value in members if isinstance(value, int) and not isinstance(value, bool)}


def _plain(value: Any) -> Any:
    """A stored value as JSON can show it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
