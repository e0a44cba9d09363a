"""Reports which migrations are due, running, interrupted or done, and how far each one is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from triptych.kit.mongo.driver import Database, Document, aggregate
from triptych.kit.mongo.schema_version import StoredVersion
from triptych.kit.upgrading.migrations import MIGRATIONS, Migration, due


class MigrationState(Enum):
    """Where a migration stands."""

    DUE = "due"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    """It has begun, and no process works on it."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """How far a migration is. `total` is an estimate until it is done, and None before its first step.

    `instance` is the process that works on it, or did so last.
    """

    name: str
    version: int
    state: MigrationState
    done: int = 0
    total: int | None = None
    started_at: datetime | None = None
    moved_at: datetime | None = None
    instance: str | None = None


async def migration_progress(
    database: Database, migrations: Sequence[Migration], stored: StoredVersion
) -> list[MigrationProgress]:
    """Those that have begun, oldest first, and then those that are due. Raises the driver's errors."""
    is_running = {"$set": {"isRunning": {"$gt": ["$until", "$$NOW"]}}}
    found = await aggregate(database[MIGRATIONS], [is_running, {"$sort": {"startedAt": 1, "_id": 1}}])
    begun = [_progress(state) for state in found]
    names = frozenset(each.name for each in begun)
    return [*begun, *(_due(each) for each in due(migrations, stored, names))]


def _due(migration: Migration) -> MigrationProgress:
    return MigrationProgress(migration.name, migration.version, MigrationState.DUE)


def _progress(document: Document) -> MigrationProgress:
    if document.get("endedAt") is not None:
        state = MigrationState.DONE
    else:
        state = MigrationState.RUNNING if document["isRunning"] else MigrationState.INTERRUPTED
    return MigrationProgress(
        name=document["_id"],
        version=document["version"],
        state=state,
        done=document.get("done", 0),
        total=document.get("total"),
        started_at=document["startedAt"],
        moved_at=document.get("movedAt"),
        instance=document["instance"],
    )
