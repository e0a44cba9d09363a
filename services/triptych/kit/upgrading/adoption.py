"""Writes the schema version of an installation, and excludes builds that are too old for it."""

import contextlib
from collections.abc import Sequence

from triptych.kit.failures import NotYetAvailable
from triptych.kit.mongo.driver import Database, DuplicateKeyError
from triptych.kit.mongo.schema_version import (
    FIRST,
    INSTALLATION,
    SCHEMA,
    THIS_BUILD,
    Build,
    StoredVersion,
    read_stored_version,
)
from triptych.kit.upgrading.presence import RunningProcess, running_processes

NAMED_MAX = 10
"""How many processes a message names."""


async def adopt(database: Database, build: Build = THIS_BUILD) -> StoredVersion:
    """Store a version if none is stored, and return the stored one.

    A database without collections gets the version of this build. Anything else was made before versions were stored,
    and gets the first one.

    Raises the driver's errors.
    """
    schema = database[SCHEMA]
    if await schema.find_one({"_id": INSTALLATION}) is None:
        first = FIRST if await database.list_collection_names() else build.version
        with contextlib.suppress(DuplicateKeyError):  # another process has just done it
            await schema.insert_one({"_id": INSTALLATION, "version": first, "oldestBuild": FIRST})
    return await read_stored_version(database)


async def raise_version(database: Database, reached: int) -> None:
    """State that the data has this version, unless it has a higher one. Raises the driver's errors."""
    await database[SCHEMA].update_one({"_id": INSTALLATION}, {"$max": {"version": reached}})


async def exclude_older(database: Database, oldest: int) -> None:
    """Make sure that no build older than `oldest` uses the data, now or later; it must have been adopted.

    Raises:
        NotYetAvailable: such processes run. Nothing has changed, or they end by themselves within half a minute.
        The driver's errors.
    """
    if oldest <= FIRST:
        return
    if older := await _older(database, oldest):
        raise NotYetAvailable(f"{_named(older, oldest)} Replace them first (docs/upgrading.md).")
    if (await read_stored_version(database)).oldest_build < oldest:
        await database[SCHEMA].update_one({"_id": INSTALLATION}, {"$max": {"oldestBuild": oldest}})
        if older := await _older(database, oldest):
            raise NotYetAvailable(f"{_named(older, oldest)} They have just started, and end within half a minute.")


async def _older(database: Database, oldest: int) -> list[RunningProcess]:
    return [process for process in await running_processes(database) if process.schema_version < oldest]


def _named(processes: Sequence[RunningProcess], oldest: int) -> str:
    names = ", ".join(f"{process.service} on {process.instance}" for process in processes[:NAMED_MAX])
    return f"Processes of builds before schema version {oldest} still run: {len(processes)} ({names})."
