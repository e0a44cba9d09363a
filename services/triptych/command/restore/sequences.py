"""Corrects the galleries of a restored write model, in transactions that depend on owning their partitions.

The events of the corrections are stored in the outbox. The next owner of a partition publishes them before it carries
out any command.
"""

from collections.abc import Sequence
from datetime import datetime

import uuid_utils

from triptych.command.domain.corrections import Action, Correction, Published, correction_of
from triptych.command.domain.state import GalleryHead
from triptych.command.restore.replay import ANOTHER_OWNER, ReportProgress, SilentPublisher
from triptych.command.settings import CommandSettings
from triptych.command.store.documents import head_document, head_of
from triptych.command.store.outbox import Outbox, OutboxRow
from triptych.command.store.repairs import Ledger
from triptych.command.store.reservations import ChangedHead, Reservations
from triptych.contract.base import format_instant
from triptych.contract.codec.envelope import Message, encode_event
from triptych.contract.codec.events import gallery_deleted, gallery_updated
from triptych.contract.topics import Topics
from triptych.kit.failures import OwnershipLost, StartRefused
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.mongo.driver import Database, InsertOne, ReplaceOne, UpdateOne
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.mongo.transactions import transaction
from triptych.kit.process.clock import utc_now
from triptych.writemodel.galleries import GALLERIES, ITEMS, Status

GALLERIES_AT_ONCE = 200
ITEMS_AT_ONCE = 1_000
ORIGIN = "Restored From Backup"
"""`originatedFrom` of the events of corrections."""
SOURCE = "triptych/restore"


class Sequences:
    """Corrects all galleries in a ledger."""

    def __init__(self, settings: CommandSettings, database: Database, ledger: Ledger, repair_id: str) -> None:
        self._settings = settings
        self._database = database
        self._galleries = database[GALLERIES]
        self._items = database[ITEMS]
        self._reservations = Reservations(database)
        self._ledger = ledger
        self._repair_id = repair_id
        self._ownership = Ownership(database, settings.command_group, GALLERIES)
        # It only stores rows. A service publishes them.
        topics = Topics(settings.topic_prefix)
        silent = SilentPublisher(topics.counts(settings.topic_partitions), topics.events, ledger)
        self._outbox = Outbox(database, silent, topics.events)
        self._number = 0

    async def correct_all(self, report: ReportProgress) -> None:
        """Correct every gallery. After an interruption, another call corrects the remaining ones.

        Raises:
            StartRefused: another process has claimed the partitions, or a gallery has unfinished work.
            TransientFailure: MongoDB stopped answering.
        """
        await self._ownership.claim(range(self._settings.topic_partitions))
        total, done = await self._ledger.count(), 0
        try:
            while batch := await self._ledger.next(GALLERIES_AT_ONCE):
                await self._correct(batch)
                done += len(batch)
                report("galleries corrected", done, total)
        except OwnershipLost:
            raise StartRefused(ANOTHER_OWNER) from None
        finally:
            self._ownership.release()

    async def _correct(self, batch: Sequence[Published]) -> None:
        heads = await self._load(batch)
        for published in batch:
            head = heads.get(published.gallery_id)
            if head is not None:
                await self._remove_items(head, published)
        heads = await self._load(batch)
        at = utc_now()
        writes: list[InsertOne[dict[str, object]] | ReplaceOne[dict[str, object]] | UpdateOne] = []
        rows: list[OutboxRow] = []
        changed: list[ChangedHead] = []
        for published in batch:
            head = heads.get(published.gallery_id)
            correction = correction_of(head, published)
            after = _after(head or _unknown(published, at), correction)
            changed.append((head, after))
            document = {"_id": after.gallery_id, **head_document(after)}
            if head is None:
                writes.append(InsertOne(document))
            else:
                writes.append(ReplaceOne({"_id": after.gallery_id, "sequence": head.sequence}, document))
            rows += self._rows(after, correction, at)
        partitions = [self._partition(published.gallery_id) for published in batch]
        async with transaction(self._database) as session:
            fences = await self._ownership.fence(session, partitions)
            written = await self._galleries.bulk_write([*fences, *writes], ordered=True, session=session)
            if written.matched_count + written.inserted_count != len(fences) + len(writes):
                raise OwnershipLost("a claim or a gallery was changed by another process")
            await self._reservations.follow(changed, session)
            await self._outbox.insert(rows, session)
            await self._ledger.done([published.gallery_id for published in batch], session)

    async def _load(self, batch: Sequence[Published]) -> dict[str, GalleryHead]:
        found = self._galleries.find({"_id": {"$in": [one.gallery_id for one in batch]}})
        heads = {document["_id"]: head_of(document) async for document in found}
        for head in heads.values():
            if head.status is not Status.DELETED and (head.job is not None or head.status is not Status.LIVE):
                raise StartRefused(f"Gallery {head.gallery_id} has work that has not ended.")
        return heads

    async def _remove_items(self, head: GalleryHead, published: Published) -> None:
        """Delete the items whose deletion was published, a bounded number in each transaction."""
        is_whole = published.is_deleted and head.status is Status.LIVE
        while True:
            if is_whole:
                found = self._items.find({"galleryId": head.gallery_id}, {"_id": 1}).limit(ITEMS_AT_ONCE)
                ids = [document["_id"] async for document in found]
            else:
                ids = await self._ledger.items_gone(head.gallery_id, ITEMS_AT_ONCE)
            if not ids:
                if not is_whole:
                    return
                is_whole = False  # what is left in the ledger
                continue
            async with transaction(self._database) as session:
                fences = await self._ownership.fence(session, [self._partition(head.gallery_id)])
                gone = await self._items.delete_many(
                    {"_id": {"$in": ids}, "galleryId": head.gallery_id}, session=session
                )
                fewer = UpdateOne({"_id": head.gallery_id}, {"$inc": {"totalItems": -gone.deleted_count}})
                written = await self._galleries.bulk_write([*fences, fewer], ordered=True, session=session)
                if written.matched_count != len(fences) + 1:
                    raise OwnershipLost("a claim was changed by another process")
                await self._ledger.items_done(head.gallery_id, ids, session)

    def _rows(self, after: GalleryHead, correction: Correction, at: datetime) -> list[OutboxRow]:
        event_id = str(uuid_utils.uuid7())
        match correction.action:
            case Action.RAISE:
                event = gallery_updated(event_id, after.gallery_id, after.sequence, at, after.to_wire(), ORIGIN)
            case Action.WITHDRAW:
                event = gallery_deleted(event_id, after.gallery_id, after.sequence, at, ORIGIN)
            case Action.DELETE | Action.RESERVE:
                return []
        message = encode_event(
            event,
            site_id=after.site_id,
            correlation_id=self._repair_id,
            causation_id=self._repair_id,
            traceparent=None,
            command_source=SOURCE,
        )
        return [self._row(self._partition(after.gallery_id), message)]

    def _row(self, partition: int, message: Message) -> OutboxRow:
        epoch = self._ownership.epoch(partition)
        self._number += 1
        return OutboxRow(f"{partition}-{epoch}-{self._number}", partition, epoch, self._number, (message,))

    def _partition(self, gallery_id: str) -> int:
        return partition_of(gallery_id.encode(), self._settings.topic_partitions)


def _after(head: GalleryHead, correction: Correction) -> GalleryHead:
    if correction.action is Action.RAISE:
        return head._replace(sequence=correction.sequence)
    return head._replace(sequence=correction.sequence, status=Status.DELETED, total_items=0)


def _unknown(published: Published, at: datetime) -> GalleryHead:
    """A gallery that only the topics have; nothing of it is shown."""
    return GalleryHead(
        gallery_id=published.gallery_id,
        site_id=published.site_id,
        name=None,
        sort_order=0.0,
        created_date=format_instant(at),
        total_items=0,
        sequence=0,
        last_default=0.0,
        highest=float("-inf"),
    )
