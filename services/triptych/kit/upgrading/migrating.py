"""Carries out migrations step by step. One process at a time works on a migration, and another one can resume it."""

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from triptych.kit.failures import NotYetAvailable, TransientFailure
from triptych.kit.mongo.driver import Database, Document, PyMongoError
from triptych.kit.mongo.schema_version import THIS_BUILD, Build
from triptych.kit.upgrading.adoption import adopt, exclude_older, raise_version
from triptych.kit.upgrading.migrations import MIGRATIONS, Migration, due, version_reached

LEASE_SECONDS = 30.0
"""How long another process waits for the next step before it takes over."""
Report: TypeAlias = Callable[[str, int, int], None]
"""Shows progress: the name of a migration, the documents done, and their estimated number."""


class Migrator:
    """Carries out the migrations that are due."""

    def __init__(
        self,
        database: Database,
        migrations: Sequence[Migration],
        build: Build = THIS_BUILD,
        *,
        lease_seconds: float = LEASE_SECONDS,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`pause` waits for some seconds between two steps."""
        self._database = database
        self._progress = database[MIGRATIONS]
        self._migrations = migrations
        self._build = build
        self._lease_end = {"$add": ["$$NOW", int(lease_seconds * 1000)]}
        self._pause = pause
        self._owner = str(uuid.uuid4())

    async def run(self, report: Report = lambda *_: None) -> list[str]:
        """Carry out what is due; the names of the migrations that this call has ended.

        Raises:
            NotYetAvailable: processes of older builds run, or another process works on a migration.
            TransientFailure: another process has taken over a migration.
            The driver's errors. Another call resumes after the last step.
        """
        stored = await adopt(self._database, self._build)
        carried_out = []
        for migration in due(self._migrations, stored, await ended_migrations(self._database)):
            await exclude_older(self._database, migration.oldest_build)
            if await self._carry_out(migration, report):
                carried_out.append(migration.name)
        ended = await ended_migrations(self._database)
        await raise_version(self._database, version_reached(self._migrations, stored, ended, self._build.version))
        return carried_out

    async def _carry_out(self, migration: Migration, report: Report) -> bool:
        state = await self._claim(migration)
        if state.get("endedAt") is not None:
            return False  # another process has ended it since
        try:
            cursor, done = state.get("cursor"), state.get("done", 0)
            total = await migration.count(self._database)
            report(migration.name, done, max(done, total))
            while True:
                began = time.monotonic()
                cursor, seen = await migration.step(self._database, cursor)
                done += seen
                await self._save(migration, cursor, done, max(done, total))
                report(migration.name, done, done if cursor is None else max(done, total))
                if cursor is None:
                    return True
                # Half of the time is left to the services.
                await self._pause(time.monotonic() - began)
        finally:
            with contextlib.suppress(PyMongoError):
                await self._progress.update_one(
                    {"_id": migration.name, "owner": self._owner}, {"$unset": {"until": ""}}
                )

    async def _claim(self, migration: Migration) -> Document:
        """The stored state of the migration, which this process may work on now."""
        is_taken = {"$gt": ["$until", "$$NOW"]}
        place = f"{socket.gethostname()}-{os.getpid()}"
        claim = {
            "version": migration.version,
            "owner": {"$cond": [is_taken, "$owner", self._owner]},
            "instance": {"$cond": [is_taken, "$instance", place]},
            "until": {"$cond": [is_taken, "$until", self._lease_end]},
            "startedAt": {"$ifNull": ["$startedAt", "$$NOW"]},
        }
        state = await self._progress.find_one_and_update(
            {"_id": migration.name}, [{"$set": claim}], upsert=True, return_document=True
        )
        assert state is not None  # noqa: S101 - an upsert returns the document that it has written
        if state["owner"] != self._owner:
            raise NotYetAvailable(
                f"Another process works on the migration {migration.name}: {state['instance']}, "
                f"{state.get('done', 0):,} documents done."
            )
        return state

    async def _save(self, migration: Migration, cursor: Any, done: int, total: int) -> None:
        fields: Document = {
            "cursor": {"$literal": cursor},
            "done": done,
            "total": done if cursor is None else total,
            "until": self._lease_end,
            "movedAt": "$$NOW",
            **({"endedAt": "$$NOW"} if cursor is None else {}),
        }
        saved = await self._progress.update_one({"_id": migration.name, "owner": self._owner}, [{"$set": fields}])
        if saved.matched_count != 1:
            raise TransientFailure(
                f"Another process has taken over the migration {migration.name}: a step took longer than the lease."
            )


async def ended_migrations(database: Database) -> frozenset[str]:
    """The names of the migrations that are done. Raises the driver's errors."""
    found = await database[MIGRATIONS].find({"endedAt": {"$exists": True}}, {"_id": 1}).to_list(None)
    return frozenset(state["_id"] for state in found)
