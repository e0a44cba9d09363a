"""Tracks the versions of the views: several can exist at the same time, and readers see the active one.

A version is a pair of collections. One document names the active version and the version that is being built. Readers
cache the active version. They look it up again only when a query does not find everything: after a switch, the
collections of the old version are dropped before anything is written to the new one, so that whatever a reader still
finds in them is not outdated.
"""

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from triptych.kit.failures import TransientFailure
from triptych.kit.mongo.driver import Collection, Database, Document, DuplicateKeyError
from triptych.kit.process.clock import utc_now
from triptych.readmodel.documents import GALLERY_VIEWS, ITEM_VIEWS

COLLECTION = "view_versions"
FIRST_VERSION = 1
SWITCH_TIME = timedelta(seconds=90)
"""How long writers wait for a switch to end. After that it has failed, and they resume writing the old version."""

_ID = "views"
# The process that switches gives up this much earlier than the writers stop waiting: it may stand still in between, and
# the time, which is MongoDB's, changes a little with the server.
_MARGIN = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class ViewNames:
    """The collections of a version."""

    galleries: str
    items: str


def names_of(version: int) -> ViewNames:
    """The names of a version's collections. The names of the first version have no number."""
    suffix = "" if version == FIRST_VERSION else f"_{version}"
    return ViewNames(GALLERY_VIEWS + suffix, ITEM_VIEWS + suffix)


class Versions:
    """The stored state of the versions: which one is active, which one is built, and whether a switch is going on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions: Collection = database[COLLECTION]

    async def active(self) -> int:
        """The version that readers see."""
        return int((await self._state()).get("active", FIRST_VERSION))

    async def building(self) -> int | None:
        """The version that is being built, or None."""
        found = (await self._state()).get("building")
        return None if found is None else int(found)

    async def begin_building(self) -> int:
        """Start a new version, unless one was started before; return its number."""
        active = await self.active()
        with contextlib.suppress(DuplicateKeyError):  # a version was started before
            await self._versions.update_one(
                {"_id": _ID, "building": None}, {"$set": {"active": active, "building": active + 1}}, upsert=True
            )
        building = await self.building()
        assert building is not None  # noqa: S101 - set by this call or by an earlier one
        return building

    async def check_writable(self, version: int) -> None:
        """Make sure that `version` may be written. A writer calls this after it has claimed its partitions.

        Raises:
            TransientFailure: a switch is going on, or `version` is neither active nor being built.
        """
        state = await self._state()
        if version == state.get("building"):
            return
        if version != state.get("active", FIRST_VERSION):
            raise TransientFailure(f"version {version} of the views is not in use any more")
        if state.get("switchingUntil", _long_ago()) > utc_now():
            raise TransientFailure("the views are being switched to a new version")

    async def begin_switch(self, version: int) -> None:
        """Ask the writers of the active version to stop. Claiming their partitions afterwards makes sure that they do.

        Raises:
            TransientFailure: `version` is not the one being built.
        """
        updated = await self._versions.update_one(
            {"_id": _ID, "building": version}, {"$set": {"switchingUntil": utc_now() + SWITCH_TIME}}
        )
        if updated.matched_count != 1:
            raise TransientFailure(f"version {version} of the views is not being built any more")

    async def end_switch(self, version: int) -> None:
        """Make `version` active and drop the version before it. The writers of `version` must have stopped as well.

        Raises:
            TransientFailure: the switch took too long; the writers of the old version may have resumed.
        """
        switched = await self._versions.update_one(
            {"_id": _ID, "building": version, "switchingUntil": {"$gt": utc_now() + _MARGIN}},
            {"$set": {"active": version}, "$unset": {"building": "", "switchingUntil": ""}},
        )
        if switched.matched_count != 1:
            raise TransientFailure("switching the views took too long; nothing was changed")
        await self.drop_before(version)

    async def cancel_switch(self) -> None:
        """Let the writers of the active version resume."""
        await self._versions.update_one({"_id": _ID}, {"$unset": {"switchingUntil": ""}})

    async def drop_before(self, version: int) -> None:
        """Drop the collections of the version before the active one, before anything is written to the active one."""
        if version > FIRST_VERSION:
            names = names_of(version - 1)
            # Galleries first: without them, no reader looks for their items.
            await self._database.drop_collection(names.galleries)
            await self._database.drop_collection(names.items)

    async def _state(self) -> Document:
        return await self._versions.find_one({"_id": _ID}) or {}


def _long_ago() -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC)
