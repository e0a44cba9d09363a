"""Stores the history in MongoDB. It is the only writer of its collections.

No claim of a partition is needed. Two processes may archive the same events at the same time, such as a paused owner
and the next one: both make the same rows, a row is never opened again, and the document of a gallery's reach is written
by whoever has read it last.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from triptych.history.documents import (
    HISTORY_EVENTS,
    HISTORY_GALLERIES,
    HISTORY_STATE,
    OPEN,
    STATE_ID,
    Reach,
    reach_document,
    reach_of,
)
from triptych.kit.failures import TransientFailure
from triptych.kit.mongo.driver import (
    BulkWriteError,
    Database,
    Document,
    ReplaceOne,
    UpdateOne,
    is_duplicate_key,
)
from triptych.kit.mongo.inserting import insert_new
from triptych.kit.process.clock import utc_now
from triptych.kit.process.supervision import progress
from triptych.projector.history.fold import Closing, Fold, Sweep

SWEPT_AT_ONCE = 1_000


class Archive:
    """The history of one installation."""

    def __init__(self, database: Database) -> None:
        self._events = database[HISTORY_EVENTS]
        self._galleries = database[HISTORY_GALLERIES]
        self._state = database[HISTORY_STATE]

    async def adopt_retention(self, retention: timedelta, now: datetime) -> None:
        """Store the retention that is in force from now on. Rows that the former one has removed stay unknown."""
        found = await self._state.find_one({"_id": STATE_ID})
        if found is None and not retention:
            return
        horizon = now - retention
        if found is not None:
            horizon = max(found["horizon"], now - timedelta(seconds=found["kept"]))
        kept = retention or timedelta(seconds=0 if found is None else found["kept"])
        state = {"seconds": retention.total_seconds(), "kept": kept.total_seconds(), "horizon": horizon}
        await self._state.update_one({"_id": STATE_ID}, {"$set": state}, upsert=True)

    async def load(self, gallery_ids: Collection[str]) -> dict[str, Reach]:
        """How far the history of these galleries reaches, by id."""
        if not gallery_ids:
            return {}
        found = await self._galleries.find({"_id": {"$in": sorted(gallery_ids)}}).to_list(None)
        return {document["_id"]: reach_of(document) for document in found}

    async def save(self, loaded: Mapping[str, Reach], folded: Fold) -> None:
        """Write the rows of a batch, and then how far they reach. After a failure in between, a repetition does it.

        Raises:
            TransientFailure: another process has archived the same galleries meanwhile, or the driver's errors.
        """
        await self._insert(list(folded.rows.values()))
        await self._close(folded.closings)
        for sweep in folded.sweeps:
            await self._sweep(sweep)
        await self._save_reaches(loaded, folded.reaches)

    async def waiting(self, count: int) -> AsyncIterator[Reach]:
        """Up to `count` galleries that lack events and wait for a snapshot."""
        async for document in self._galleries.find({"wanted": {"$gt": 0}}).limit(count):
            yield reach_of(document)

    async def count_waiting(self, limit: int) -> int:
        """The number of galleries that wait for a snapshot, up to `limit`."""
        return await self._galleries.count_documents({"wanted": {"$gt": 0}}, limit=limit)

    async def give_up(self, reach: Reach) -> None:
        """Take note that a gallery does not exist any more, although the event of its deletion was lost."""
        gone = reach._replace(deleted_at=utc_now(), snapshot=None)
        await self._sweep(Sweep(reach.gallery_id, OPEN - 1, utc_now()))
        await self._save_reaches({reach.gallery_id: reach}, {reach.gallery_id: gone})

    async def forget(self, gallery_id: str) -> int:
        """Delete what is archived of a gallery; the number of rows. Its later events are archived again."""
        deleted = 0
        query = {"galleryId": gallery_id}
        while found := await self._events.find(query, {"_id": 1}).limit(SWEPT_AT_ONCE).to_list(None):
            ids = {"_id": {"$in": [row["_id"] for row in found]}, "galleryId": gallery_id}
            deleted += (await self._events.delete_many(ids)).deleted_count
        await self._galleries.delete_one({"_id": gallery_id})
        return deleted

    async def _insert(self, rows: Sequence[Document]) -> None:
        if await insert_new(self._events, rows):
            # Rows of an attempt that did not end. It may not have known yet that they are superseded.
            closed = [
                UpdateOne(
                    {"_id": row["_id"], "galleryId": row["galleryId"]},
                    {"$min": {"until": row["until"], "supersededAt": row["supersededAt"]}},
                )
                for row in rows
                if "supersededAt" in row
            ]
            if closed:
                await self._events.bulk_write(closed, ordered=False)

    async def _close(self, closings: Iterable[Closing]) -> None:
        writes = [
            UpdateOne(
                {
                    "galleryId": closing.gallery_id,
                    "itemId": closing.item_id,
                    "until": OPEN,
                    "sequence": {"$lte": closing.newest},
                    "_id": {"$ne": closing.by},
                },
                {"$set": {"until": closing.until, "supersededAt": closing.at}},
            )
            for closing in closings
        ]
        if writes:
            await self._events.bulk_write(writes, ordered=False)

    async def _sweep(self, sweep: Sweep) -> None:
        """End the open rows from before a sequence, some at a time: it may be a large gallery."""
        query = {
            "galleryId": sweep.gallery_id,
            "until": OPEN,
            "sequence": {"$lt": sweep.sequence},
        }
        while found := await self._events.find(query, {"_id": 1}).limit(SWEPT_AT_ONCE).to_list(None):
            ids = {"_id": {"$in": [row["_id"] for row in found]}, "galleryId": sweep.gallery_id}
            await self._events.update_many(ids, {"$set": {"until": sweep.sequence, "supersededAt": sweep.at}})
            progress()

    async def _save_reaches(self, loaded: Mapping[str, Reach], reaches: Mapping[str, Reach]) -> None:
        new: list[Document] = []
        changed: list[ReplaceOne[Document]] = []
        for gallery_id, reach in reaches.items():
            known = loaded.get(gallery_id)
            if reach == known:
                continue
            document = reach_document(reach._replace(revision=reach.revision + 1))
            if known is None:
                new.append(document)
            else:
                changed.append(ReplaceOne({"_id": gallery_id, "revision": known.revision}, document))
        if changed and (await self._galleries.bulk_write(changed, ordered=False)).matched_count != len(changed):
            raise TransientFailure("another process archives the same galleries")
        if new:
            try:
                await self._galleries.insert_many(new, ordered=False)
            except BulkWriteError as error:
                if is_duplicate_key(error):
                    raise TransientFailure("another process archives the same galleries") from error
                raise
