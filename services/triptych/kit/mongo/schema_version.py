"""Says which versions of the stored data this build can use, and refuses a database that it must not touch.

The schema version is one number for a whole installation: for the documents in MongoDB, and for the records on its
topics. It is stored in one document, which each process and command reads when it opens the database. An installation
without that document was made before there was one, and has version 1 (docs/decisions/0036).
"""

from dataclasses import dataclass
from importlib.metadata import version

from triptych.kit.failures import StartRefused
from triptych.kit.mongo.driver import Database, Document, PyMongoError, is_transient
from triptych.kit.mongo.refusals import start_failure

SCHEMA = "schema"
INSTALLATION = "installation"
FIRST = 1
"""The version of an installation without a stored version."""


@dataclass(frozen=True, slots=True)
class Build:
    """What a build can do with stored data, in schema versions.

    `version` is the highest that it knows, and names the build. `reads_from` is the lowest that it reads. `written_for`
    is the oldest build that can read what this one writes, and that may run at the same time.
    """

    version: int
    reads_from: int = FIRST
    written_for: int = FIRST


THIS_BUILD = Build(version=3)
"""Change it together with the shape of a stored document or of a record (docs/upgrading.md)."""


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """The schema version of an installation, and the oldest build that may use it."""

    version: int = FIRST
    oldest_build: int = FIRST


def stored_version_of(document: Document | None) -> StoredVersion:
    """The version that a document of the collection states; an installation without one has the first."""
    return StoredVersion() if document is None else StoredVersion(document["version"], document["oldestBuild"])


def refusal(stored: StoredVersion, build: Build = THIS_BUILD) -> str | None:
    """Why a build must not use the data, and what to do; None if it may."""
    name = f"triptych {version('triptych')}, which knows schema version {build.version}"
    found = f"The data in MongoDB has schema version {stored.version}"
    if build.version < stored.oldest_build:
        return (
            f"{found} and needs a build that knows version {stored.oldest_build}. This build is {name}. Start a newer "
            "build, or restore a backup that was made before the upgrade (docs/upgrading.md)."
        )
    if stored.version < build.reads_from:
        return (
            f"{found}. This build is {name} and reads version {build.reads_from} or newer. First upgrade to a build in "
            "between, and run its command migrate (docs/upgrading.md)."
        )
    return None


async def read_stored_version(database: Database) -> StoredVersion:
    """The schema version of an installation. Raises the driver's errors."""
    return stored_version_of(await database[SCHEMA].find_one({"_id": INSTALLATION}))


async def require_usable(database: Database, build: Build = THIS_BUILD) -> None:
    """Make sure that this build may use the data.

    Raises:
        StartRefused: it must not; the message says which version was found and what to do.
        NotYetAvailable: MongoDB does not answer.
    """
    try:
        stored = await read_stored_version(database)
    except PyMongoError as error:
        raise start_failure(error, is_transient=is_transient(error)) from None
    if (problem := refusal(stored, build)) is not None:
        raise StartRefused(problem)
