"""Republishes galleries that were found wrong or missing on the joined topic.

The process that finds a wrong gallery does not publish it, because the records of two processes would come in any
order. It stores a request instead. The owner of the gallery's partition then publishes the state of the views between
two batches. Requests survive a crash of either process.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import Counter

from triptych.contract.joined import gallery_key
from triptych.kit.chunks import by_count, until_full
from triptych.kit.failures import Fault, TransientFailure, fault_of
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import ASCENDING, Collection, Database, Document, IndexModel, ReplaceOne, UpdateOne
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.process.supervision import progress
from triptych.projector.ingest.handler import ProjectionHandler
from triptych.projector.join.publisher import JoinPublisher
from triptych.projector.view.batch import Batch
from triptych.projector.view.fold import View
from triptych.projector.view.repository import ViewRepository
from triptych.writemodel.queries import WriteModel

log = get_logger(__name__)

REPUBLISHED = Counter("triptych_join_republished_total", "Galleries published again to the joined topic on request")

COLLECTION = "join_requests"
INDEXES = {COLLECTION: [IndexModel([("partition", ASCENDING)])]}
ITEMS_AT_ONCE = 500
REQUESTS_AT_ONCE = 100
INTERVAL_SECONDS = 1.0


class RepublicationRequests:
    """The stored requests to republish a gallery: `{_id, galleryId, partition, items, isWhole}`.

    `items` are the item ids that the topic has. An id that is not an item of the gallery gets a tombstone.
    """

    def __init__(self, database: Database) -> None:
        self._requests: Collection = database[COLLECTION]

    async def add(self, gallery_id: str, partition: int, item_ids: Sequence[str], number: int | None = None) -> None:
        """Request a gallery with all its items, or, if a number is given, only the items of `item_ids`.

        Args:
            gallery_id: the gallery.
            partition: the gallery's partition of the events topic.
            item_ids: the item ids that the topic has.
            number: distinguishes the requests for chunks of one gallery's items.
        """
        request_id = gallery_id if number is None else f"{gallery_id}/{number}"
        document = {
            "_id": request_id,
            "galleryId": gallery_id,
            "partition": partition,
            "items": list(item_ids),
            "isWhole": number is None,
        }
        await self._requests.bulk_write([ReplaceOne({"_id": request_id}, document, upsert=True)])

    async def add_whole(self, gallery_ids: Sequence[str], place: Callable[[str], int]) -> None:
        """Request galleries with all their items; `place` gives the partition of each."""
        if gallery_ids:
            await self._requests.bulk_write([_whole(id_, place(id_)) for id_ in gallery_ids], ordered=False)

    async def move(self, place: Callable[[str], int]) -> None:
        """Give the requests to the partitions where their galleries are now. Nobody may carry them out meanwhile."""
        async for found in until_full(self._requests.find({}, {"galleryId": 1}), count=ITEMS_AT_ONCE):
            await self._requests.bulk_write(
                [
                    UpdateOne({"_id": request["_id"]}, {"$set": {"partition": place(request["galleryId"])}})
                    for request in found
                ],
                ordered=False,
            )

    async def count(self) -> int:
        """The number of open requests."""
        return await self._requests.count_documents({})

    async def due(self, partitions: Iterable[int]) -> list[Document]:
        """Requests for galleries of these partitions, up to `REQUESTS_AT_ONCE`."""
        query = {"partition": {"$in": list(partitions)}}
        return await self._requests.find(query).limit(REQUESTS_AT_ONCE).to_list(None)

    async def done(self, request: Document) -> None:
        """Delete a request, unless it was replaced by a newer one meanwhile."""
        await self._requests.delete_one({"_id": request["_id"], "items": request["items"]})


def _whole(gallery_id: str, partition: int) -> ReplaceOne[Document]:
    document = {"_id": gallery_id, "galleryId": gallery_id, "partition": partition, "items": [], "isWhole": True}
    return ReplaceOne({"_id": gallery_id}, document, upsert=True)


class Republisher:
    """Carries out the requests for the galleries of the partitions that this process owns."""

    def __init__(
        self,
        database: Database,
        repository: ViewRepository,
        ownership: Ownership,
        join_publisher: JoinPublisher,
        handler: ProjectionHandler,
        reached: Callable[[], Mapping[int, int]],
    ) -> None:
        """`reached` returns the offset after the last finished record, by partition owned now."""
        self._requests = RepublicationRequests(database)
        self._write_model = WriteModel(database)
        self._repository = repository
        self._ownership = ownership
        self._join_publisher = join_publisher
        self._handler = handler
        self._reached = reached

    async def run(self) -> None:
        """Carry out requests, until cancelled."""
        while True:
            progress()
            count = 0
            try:
                # In the middle of a batch, partitions are not fully published. A backlog has no pause between batches.
                async with self._handler.lock_all():
                    partitions = self._handler.offsets.fully_published(self._reached())
                for request in await self._requests.due(partitions):
                    await self._carry_out(request)
                    count += 1
            except Exception as error:
                if fault_of(error) is Fault.OURS:
                    raise
                log.info("the requested galleries cannot be republished now, which is tried again", error=error)
                count = 0
            if not count:
                await asyncio.sleep(INTERVAL_SECONDS)

    async def _carry_out(self, request: Document) -> None:
        gallery_id, partition = request["galleryId"], request["partition"]
        for chunk in by_count(request["items"], ITEMS_AT_ONCE):
            await self._publish(gallery_id, partition, chunk)
        if request["isWhole"]:
            last = ""
            # The handler publishes every change made meanwhile, and the head record comes last in any case.
            while item_ids := await self._repository.item_ids(gallery_id, last, ITEMS_AT_ONCE):
                await self._publish(gallery_id, partition, item_ids)
                last = item_ids[-1]
            await self._publish_head(gallery_id, partition)
            REPUBLISHED.inc()
        await self._requests.done(request)

    async def _publish(self, gallery_id: str, partition: int, item_ids: Sequence[str]) -> None:
        async with self._handler.locks.of({partition}):
            self._check(partition)
            view = (await self._repository.load([gallery_id])).get(gallery_id) or View("", gallery_id)
            await self._join_publisher.publish(Batch({gallery_id: view}, touched={gallery_id: set(item_ids)}), [])
        progress()

    async def _publish_head(self, gallery_id: str, partition: int) -> None:
        async with self._handler.locks.of({partition}):
            self._check(partition)
            view = (await self._repository.load([gallery_id])).get(gallery_id)
            if view is not None and (view.is_shown or view.is_deleted):
                await self._join_publisher.publish(Batch({gallery_id: view}), [view])
            elif not await self._write_model.has(gallery_id):
                await self._join_publisher.remove([gallery_key(gallery_id)])

    def _check(self, partition: int) -> None:
        self._ownership.epoch(partition)
        if partition not in self._handler.offsets.fully_published(self._reached()):
            raise TransientFailure(f"partition {partition} has items that are stored and not yet published")
