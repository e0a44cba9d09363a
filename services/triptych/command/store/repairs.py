"""Stores how far a repair after a restore has come, and what it still has to correct, so that it can be resumed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from triptych.command.domain.corrections import Published
from triptych.command.store.documents import PROCESSED
from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Database, Document, IndexModel, Session, UpdateOne
from triptych.kit.own_command import as_typed
from triptych.writemodel.galleries import GALLERIES

REPAIRS = "restore_repairs"
RESTORED = "restored_galleries"
GONE_ITEMS = "restored_items_gone"
INDEXES: dict[str, list[IndexModel]] = {REPAIRS: [], RESTORED: [], GONE_ITEMS: [IndexModel([("galleryId", ASCENDING)])]}
_ID = "repair"


class Phase(StrEnum):
    """The phases of a repair, in order."""

    SCAN = "scan"
    COMMANDS = "commands"
    SEQUENCES = "sequences"
    OFFSETS = "offsets"


class Repair(NamedTuple):
    """A repair in progress.

    Attributes:
        repair_id: names it in the events that it causes.
        phase: the phase to begin or to resume.
        discards_commands: whether lost commands stay lost.
        raises_all: whether every gallery is raised.
        replay: the offsets of the commands to carry out again, from and up to, by partition. None if the write model
            is not older than the topics.
        replayed: the offset after the last command that was carried out again, by partition.
        offsets: the offsets to set at the end, by consumer group and partition.
    """

    repair_id: str
    phase: Phase
    discards_commands: bool
    raises_all: bool
    replay: dict[int, tuple[int, int]] | None
    replayed: dict[int, int]
    offsets: dict[str, dict[int, int]]


class Ledger:
    """The documents of one repair."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._repairs = database[REPAIRS]
        self._galleries = database[RESTORED]
        self._items = database[GONE_ITEMS]

    async def begin(self, repair_id: str, *, discards_commands: bool, raises_all: bool) -> Repair:
        """Begin a repair, or resume one that was begun before.

        Raises:
            StartRefused: it was begun with other choices.
        """
        choices = {"discardsCommands": discards_commands, "raisesAll": raises_all}
        new = {"repairId": repair_id, "phase": Phase.SCAN.value, **choices}
        await self._repairs.update_one({"_id": _ID}, {"$setOnInsert": new}, upsert=True)
        found = await self.current()
        assert found is not None  # noqa: S101 - it was just stored
        if (found.discards_commands, found.raises_all) != (discards_commands, raises_all):
            raise StartRefused("A repair with other options was begun. Run it again with the same options.")
        return found

    async def current(self) -> Repair | None:
        """The repair that was begun and not ended."""
        found = await self._repairs.find_one({"_id": _ID})
        if found is None:
            return None
        return Repair(
            found["repairId"],
            Phase(found["phase"]),
            found["discardsCommands"],
            found["raisesAll"],
            _ranges(found["replay"]) if "replay" in found else None,
            _numbers(found.get("replayed", {})),
            {group: _numbers(offsets) for group, offsets in found.get("offsets", [])},
        )

    async def advance(self, phase: Phase) -> None:
        """Note that everything before this phase is done."""
        await self._repairs.update_one({"_id": _ID}, {"$set": {"phase": phase.value}})

    async def end(self) -> None:
        """Remove everything that belongs to the repair."""
        await self._galleries.drop()
        await self._items.drop()
        await self._repairs.delete_one({"_id": _ID})

    async def clear(self) -> None:
        """Forget what an interrupted scan has stored."""
        await self._repairs.update_one({"_id": _ID}, {"$unset": {"replay": ""}})
        await self._galleries.delete_many({})
        await self._items.delete_many({})

    async def keep_offsets(self, offsets: Mapping[str, Mapping[int, int]]) -> None:
        """Store the offsets to set at the end, by group and partition."""
        # A list: the name of a group may have a dot.
        pairs = [[group, _texts(numbers)] for group, numbers in offsets.items()]
        await self._repairs.update_one({"_id": _ID}, {"$set": {"offsets": pairs}})

    async def keep_replay(self, ranges: Mapping[int, tuple[int, int]]) -> None:
        """Store the offsets of the commands to carry out again."""
        texts = {str(number): list(range_) for number, range_ in ranges.items()}
        await self._repairs.update_one({"_id": _ID}, {"$set": {"replay": texts}})

    async def keep_replayed(self, reached: Mapping[int, int]) -> None:
        """Store how far the commands were carried out again."""
        changed = {f"replayed.{partition}": offset for partition, offset in reached.items()}
        await self._repairs.update_one({"_id": _ID}, {"$set": changed})

    async def add(self, galleries: Sequence[Published], items: Sequence[tuple[str, str]] = ()) -> None:
        """Add galleries to correct, and items, each with its gallery, whose deletion was published."""
        writes = [
            UpdateOne(
                {"_id": one.gallery_id},
                {"$set": {"siteId": one.site_id}, "$max": {"sequence": one.sequence, "isDeleted": one.is_deleted}},
                upsert=True,
            )
            for one in galleries
        ]
        if writes:
            await self._galleries.bulk_write(writes, ordered=False)
        gone = [
            UpdateOne({"_id": f"{gallery}/{item}"}, {"$set": {"galleryId": gallery, "itemId": item}}, upsert=True)
            for gallery, item in items
        ]
        if gone:
            await self._items.bulk_write(gone, ordered=False)

    async def touch(self, galleries: Mapping[str, str]) -> None:
        """Add galleries, each with its site, that have changed without a published event."""
        writes = [
            UpdateOne(
                {"_id": gallery_id},
                {"$setOnInsert": {"siteId": site_id, "isDeleted": False, "sequence": 0}},
                upsert=True,
            )
            for gallery_id, site_id in galleries.items()
        ]
        if writes:
            await self._galleries.bulk_write(writes, ordered=False)

    async def count(self) -> int:
        """The number of galleries that are still to be corrected."""
        return await self._galleries.count_documents({})

    async def next(self, count: int) -> list[Published]:
        """Up to `count` galleries that are still to be corrected."""
        found = await self._galleries.find({}).sort("_id", ASCENDING).limit(count).to_list(None)
        return [Published(one["_id"], one["siteId"], one["sequence"], one["isDeleted"]) for one in found]

    async def items_gone(self, gallery_id: str, count: int) -> list[str]:
        """Up to `count` items of a gallery that must be deleted."""
        found = self._items.find({"galleryId": gallery_id}, {"itemId": 1}).limit(count)
        return [one["itemId"] async for one in found]

    async def done(self, gallery_ids: Iterable[str], session: Session) -> None:
        """Remove corrected galleries in the transaction that corrects them."""
        await self._galleries.delete_many({"_id": {"$in": list(gallery_ids)}}, session=session)

    async def items_done(self, gallery_id: str, item_ids: Iterable[str], session: Session) -> None:
        """Remove deleted items in the transaction that deletes them."""
        ids = [f"{gallery_id}/{item_id}" for item_id in item_ids]
        await self._items.delete_many({"_id": {"$in": ids}}, session=session)


async def refuse_unfinished_repair(database: Database) -> None:
    """Raise NotYetAvailable if a repair was begun and not ended: nothing else may write the write model until then."""
    if await Ledger(database).current() is not None:
        raise NotYetAvailable(f"A repair after a restore is not finished. Run: {as_typed('restore-repair')}")


async def last_write(database: Database, group: str, partitions: int) -> datetime | None:
    """A time at which this write model was certainly in use: of its last outcome, or of the last claim of a partition.

    None if it has neither. `group` is that of the command service, in whose name partitions are claimed.
    """
    outcome = await database[PROCESSED].find_one({}, {"at": 1}, sort=[("at", DESCENDING)])
    times = [outcome["at"]] if outcome else []
    claims = [{"scope": group, "partition": partition} for partition in range(partitions)]
    async for claim in database[GALLERIES].find({"_id": {"$in": claims}}, {"epoch": 1}):
        times.append(datetime.fromtimestamp(claim["epoch"], UTC))
    return max(times, default=None)


def _ranges(texts: Mapping[str, Sequence[int]]) -> dict[int, tuple[int, int]]:
    return {int(partition): (start, end) for partition, (start, end) in texts.items()}


def _texts(numbers: Mapping[int, int]) -> Document:
    return {str(partition): offset for partition, offset in numbers.items()}


def _numbers(texts: Mapping[str, int]) -> dict[int, int]:
    return {int(partition): offset for partition, offset in texts.items()}
