"""Versions of the views: several may be stored side by side, readers see one, and change to the next all at once.

A version is a pair of collections. One document names the active version and the one being built. Readers remember
the active version and ask again only when something is not there, because after a switch the collections of the old
version are dropped before anything is written to the new one: what they still find there is not outdated.
"""

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from triptych.kit.failures import TransientFailure
from triptych.kit.mongo.driver import Collection, Database, Document, DuplicateKeyError
from triptych.readmodel.documents import GALLERY_VIEWS, ITEM_VIEWS

COLLECTION = "view_versions"
FIRST_VERSION = 1
SWITCH_TIME = timedelta(seconds=90)
"""How long writers wait for a switch that was begun; after that it has failed and they go on with the old version."""

_ID = "views"
# Between processes whose clocks differ, the one that switches gives up earlier than the others stop waiting.
_CLOCK_SKEW = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class ViewNames:
    """The collections of a version."""

    galleries: str
    items: str


def names_of(version: int) -> ViewNames:
    """The names of a version's collections; those of the first one have no number."""
    suffix = "" if version == FIRST_VERSION else f"_{version}"
    return ViewNames(GALLERY_VIEWS + suffix, ITEM_VIEWS + suffix)


class Versions:
    """Which version is active, and the steps from one to the next."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions: Collection = database[COLLECTION]

    async def active(self) -> int:
        """The version that readers see."""
        return int((await self._state()).get("active", FIRST_VERSION))

    async def building(self) -> int | None:
        """The version that is being built, if there is one."""
        found = (await self._state()).get("building")
        return None if found is None else int(found)

    async def begin_building(self) -> int:
        """Start a new version, or go on with the one that was started; its number."""
        active = await self.active()
        with contextlib.suppress(DuplicateKeyError):  # then one was started before
            await self._versions.update_one(
                {"_id": _ID, "building": None}, {"$set": {"active": active, "building": active + 1}}, upsert=True
            )
        building = await self.building()
        assert building is not None  # noqa: S101 - either we have set it or it was there
        return building

    async def check_writable(self, version: int) -> None:
        """Make sure that `version` may be written; to be asked after claiming its partitions.

        Raises:
            TransientFailure: another version is about to become active, or has.
        """
        state = await self._state()
        if version == state.get("building"):
            return
        if version != state.get("active", FIRST_VERSION):
            raise TransientFailure(f"version {version} of the views is not in use any more")
        if state.get("switchingUntil", _long_ago()) > datetime.now(UTC):
            raise TransientFailure("the views are being switched to a new version")

    async def begin_switch(self, version: int) -> None:
        """Ask the writers of the active version to stop; claiming their partitions afterwards makes sure of it.

        Raises:
            TransientFailure: `version` is not the one being built.
        """
        asked = await self._versions.update_one(
            {"_id": _ID, "building": version}, {"$set": {"switchingUntil": datetime.now(UTC) + SWITCH_TIME}}
        )
        if asked.matched_count != 1:
            raise TransientFailure(f"version {version} of the views is not being built any more")

    async def end_switch(self, version: int) -> None:
        """Make `version` the active one and drop the others, after its writers have stopped as well.

        Raises:
            TransientFailure: too late, the writers of the old version have gone on.
        """
        switched = await self._versions.update_one(
            {"_id": _ID, "building": version, "switchingUntil": {"$gt": datetime.now(UTC) + _CLOCK_SKEW}},
            {"$set": {"active": version}, "$unset": {"building": "", "switchingUntil": ""}},
        )
        if switched.matched_count != 1:
            raise TransientFailure("switching the views took too long; nothing was changed")
        await self.drop_before(version)

    async def cancel_switch(self) -> None:
        """Let the writers of the active version go on."""
        await self._versions.update_one({"_id": _ID}, {"$unset": {"switchingUntil": ""}})

    async def drop_before(self, version: int) -> None:
        """Drop what is left of the version before the active one; nothing may be written to that before."""
        if version > FIRST_VERSION:
            names = names_of(version - 1)
            # Galleries first: without them, no reader looks for their items.
            await self._database.drop_collection(names.galleries)
            await self._database.drop_collection(names.items)

    async def _state(self) -> Document:
        return await self._versions.find_one({"_id": _ID}) or {}


def _long_ago() -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC)
