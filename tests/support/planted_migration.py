"""A long migration that tests plant: it marks documents, and counts how often it has marked each of them.

`python -m tests.support.planted_migration` carries it out in a process of its own, which tests kill.
"""

import asyncio
from typing import Any

from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.mongo.schema_version import Build
from triptych.kit.process.settings import KitSettings, load_settings
from triptych.kit.upgrading.migrating import Migrator
from triptych.kit.upgrading.migrations import Migration, Step

DOCUMENTS, PAGE = 400, 20
STEP_SECONDS = 0.02
LEASE_SECONDS = 1.0
NEXT_BUILD = Build(version=3)
COLLECTION = "planted"


async def plant(database: Database) -> None:
    """Store documents of the old shape."""
    await database[COLLECTION].insert_many([{"_id": number} for number in range(DOCUMENTS)])


async def _count(database: Database) -> int:
    return await database[COLLECTION].estimated_document_count()


async def _step(database: Database, cursor: Any) -> Step:
    first = cursor or 0
    query = {"_id": {"$gte": first, "$lt": first + PAGE}}
    await database[COLLECTION].update_many(query, {"$inc": {"marks": 1}})
    await asyncio.sleep(STEP_SECONDS)
    return Step(first + PAGE if first + PAGE < DOCUMENTS else None, PAGE)


def planted(oldest_build: int = 1, name: str = "mark-documents") -> Migration:
    """The migration, to the version after that of this build."""
    return Migration(name, "Marks documents.", NEXT_BUILD.version, oldest_build, _count, _step)


def migrator(database: Database, *migrations: Migration) -> Migrator:
    """A migrator of a build that needs the planted migrations."""
    return Migrator(database, migrations or (planted(),), NEXT_BUILD, lease_seconds=LEASE_SECONDS)


async def _main() -> None:
    async with open_settings_database(load_settings(KitSettings)) as database:
        await migrator(database).run()


if __name__ == "__main__":
    asyncio.run(_main())
