"""Writes the decisions of a unit of work in one transaction: state, outbox, outcomes, jobs and parked commands."""

from collections.abc import Sequence
from datetime import datetime

from triptych.command.domain.unit_of_work import UnitOfWork
from triptych.command.store.documents import PROCESSED, head_document, item_document
from triptych.command.store.jobs import JobStore, JobUpdate
from triptych.command.store.outbox import Outbox, OutboxRow
from triptych.command.store.outcomes import outcome_document
from triptych.command.store.reservations import Reservations
from triptych.kit.mongo.driver import (
    BulkWriteError,
    Database,
    Document,
    DuplicateKeyError,
    ReplaceOne,
    Session,
    UpdateOne,
    is_duplicate_key,
)
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.mongo.inserting import insert_all
from triptych.kit.mongo.routers import has_shards, within
from triptych.kit.mongo.transactions import transaction
from triptych.writemodel.galleries import GALLERIES, ITEMS


class Conflict(Exception):
    """Another writer changed the state that the unit of work was loaded from: load and decide again."""


class WriteModelRepository:
    """Writes the write model in MongoDB."""

    def __init__(self, database: Database, ownership: Ownership, outbox: Outbox, jobs: JobStore) -> None:
        self._database = database
        self._ownership = ownership
        self._outbox = outbox
        self._jobs = jobs
        self._reservations = Reservations(database)
        self._galleries = database[GALLERIES]
        self._items = database[ITEMS]
        self._processed = database[PROCESSED]

    async def save(
        self, unit: UnitOfWork, partitions: set[int], at: datetime, update: JobUpdate | None = None
    ) -> list[OutboxRow]:
        """Write the decisions and the update of a job, all or nothing; the result is the outbox rows to publish.

        Raises:
            Conflict: a unique index or another writer refused the write; nothing was written.
            JobMovedOn: the job's step was taken already; nothing was written.
            OwnershipLost: another process owns one of the partitions now; nothing was written.
            TransientFailure: the server was unavailable or busy. Nothing was written unless its answer was lost; a
                repetition finds that out.
        """
        rows = self._outbox.rows_of(unit, self._ownership)
        try:
            async with transaction(self._database) as session:
                await self._write_heads(unit, await self._ownership.fence(session, partitions), session)
                changed = ((unit.loaded_heads.get(gallery_id), head) for gallery_id, head in unit.heads.items())
                await self._reservations.follow(changed, session)
                await self._write_items(unit, session)
                await self._outbox.insert(rows, session)
                await self._write_outcomes(unit, at, session)
                await self._jobs.insert(unit, self._ownership, at, session)
                if update is not None:
                    await self._jobs.apply(update, session)
        except (BulkWriteError, DuplicateKeyError, Conflict) as error:
            if not isinstance(error, Conflict) and not is_duplicate_key(error):
                raise
            await self._ownership.check(partitions)
            raise Conflict("a unique index or another writer refused the write") from error
        return rows

    async def check_owner(self, partitions: set[int]) -> None:
        """Raise OwnershipLost if another process owns one of the partitions now, or an error of the driver."""
        await self._ownership.check(partitions)

    async def _write_heads(self, unit: UnitOfWork, fences: Sequence[UpdateOne], session: Session) -> None:
        writes: list[ReplaceOne[Document] | UpdateOne] = [*fences]
        new: list[Document] = []
        for gallery_id, head in unit.heads.items():
            loaded = unit.loaded_heads.get(gallery_id)
            if head is None or head == loaded:
                continue
            document = {"_id": gallery_id, **head_document(head)}
            if loaded is None:
                new.append(document)
            else:
                # A fence against other writers: the gallery must be at the sequence and job that were loaded.
                fence = {"_id": gallery_id, "sequence": loaded.sequence, "job": loaded.job}
                writes.append(ReplaceOne(fence, document))
        # One kind of write in each call: after a failure, the driver would send the next kind, and fail again because
        # the transaction is aborted. Unordered: a cluster carries out ordered writes shard by shard, one after another.
        if writes and (await self._galleries.bulk_write(writes, ordered=False, session=session)).matched_count != len(
            writes
        ):
            raise Conflict("a gallery has moved on, or has another owner")
        await insert_all(self._galleries, new, session)

    async def _write_outcomes(self, unit: UnitOfWork, at: datetime, session: Session) -> None:
        new: list[Document] = []
        ended: list[ReplaceOne[Document]] = []
        for key, outcome in unit.decided.items():
            document = outcome_document(key, outcome, at)
            if key in unit.begun:
                ended.append(ReplaceOne({"_id": document["_id"]}, document, upsert=True))
            else:
                # Insert: two commands with one key, on different partitions, must not both be carried out.
                new.append(document)
        await insert_all(self._processed, new, session)
        if ended:
            await self._processed.bulk_write(ended, ordered=False, session=session)

    async def _write_items(self, unit: UnitOfWork, session: Session) -> None:
        gone: dict[str, str] = {}
        new: list[Document] = []
        changed: list[ReplaceOne[Document]] = []
        names_shard = has_shards(self._database)
        for item_id, item in unit.items.items():
            loaded = unit.loaded_items.get(item_id)
            if item is loaded:
                continue
            if loaded is not None and (item is None or item.sort_order != loaded.sort_order):
                # Items may swap sort orders: delete them all before inserting, or the unique index refuses.
                gone[item_id] = loaded.gallery_id
            if item is not None:
                if loaded is None or item.sort_order != loaded.sort_order:
                    new.append(item_document(item))
                else:
                    # By id alone, which takes MongoDB two thirds of the time that more conditions take. The gallery of
                    # the item was checked when it was loaded, and is still the same unless the gallery has changed.
                    by_id = {"_id": item_id, "galleryId": item.gallery_id} if names_shard else {"_id": item_id}
                    changed.append(ReplaceOne(by_id, item_document(item)))
        if gone:
            by_ids = within(self._database, {"_id": {"$in": list(gone)}}, galleryId={"$in": sorted(set(gone.values()))})
            await self._items.delete_many(by_ids, session=session)
        if changed:
            await self._items.bulk_write(changed, ordered=False, session=session)
        await insert_all(self._items, new, session)
