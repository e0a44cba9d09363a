"""Defines migrations of stored data, and decides which are due and which version is reached (pure)."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.schema_version import FIRST, StoredVersion

MIGRATIONS = "migrations"
"""The collection with the progress of each migration."""


class Step(NamedTuple):
    """What one step has done: where the next step begins, None at the end, and how many documents it has looked at."""

    cursor: Any
    seen: int


TakeStep: TypeAlias = Callable[[Database, Any], Awaitable[Step]]
"""Does the part of the work that begins at the cursor (None at first), a limited number of documents.

A step may be repeated, also by two processes at once, and services write meanwhile. So it only changes what still has
the old shape.
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """A change of stored data.

    `name` identifies it for ever. `version` is the schema version that needs it. `oldest_build` is the oldest build
    that may run from its beginning on: it reads the new shape and does not write the old one. `count` estimates the
    number of documents to look at.
    """

    name: str
    description: str
    version: int
    oldest_build: int
    count: Callable[[Database], Awaitable[int]]
    step: TakeStep


def due(migrations: Iterable[Migration], stored: StoredVersion, ended: AbstractSet[str]) -> list[Migration]:
    """The migrations that an installation needs, in order; `ended` has the names of those that are done."""
    needed = [each for each in migrations if each.version > stored.version and each.name not in ended]
    return sorted(needed, key=lambda each: each.version)


def version_reached(migrations: Sequence[Migration], stored: StoredVersion, ended: AbstractSet[str], known: int) -> int:
    """The version of the data: the one before the first migration that is due, or `known` if none is."""
    needed = due(migrations, stored, ended)
    return max(stored.version, FIRST, needed[0].version - 1 if needed else known)
