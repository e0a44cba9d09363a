"""The floor of projection: the cheapest known way to the views and the joined records of the projector.

It does not check sequences, gaps, invalid records or other owners, and bounds neither memory nor records. It keeps all
items of galleries in memory, encoded, and its lanes never wait for each other.
Usage: `python -m benchmarks.baselines.projection_floor BATCH_SIZE LANES`, with the settings of the projector.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack

import orjson
import uvloop

from benchmarks.baselines.floor_kafka import (
    Batch,
    Destination,
    Message,
    Publisher,
    each_batch,
    lanes_of,
    open_consumer,
    open_publisher,
    tune_garbage_collector,
)
from benchmarks.baselines.floor_mongo import Document, Mongo, claim, fences, open_mongo, replacement
from benchmarks.baselines.floor_views import apply_event, gallery_view, item_view

HEAD_ITEMS = 100
HEADERS = [("content-type", b"application/json")]


class Gallery:
    """A gallery in memory, and what a batch has changed."""

    def __init__(self, entity: Document, partition: int) -> None:
        self.gallery_id: str = entity["id"]
        self.partition = partition
        self.head = gallery_view(entity)
        self.is_stored = False
        fields = {name: entity[name] for name in ("id", "name", "sortOrder", "createdDate")}
        self._encoded = orjson.dumps(fields)
        self._items: dict[str, tuple[float, bytes]] = {}
        self.changed: dict[str, tuple[int, Document | None]] = {}
        """The sequence and the content of changed items; None for deleted ones."""

    def apply(self, event: Document) -> None:
        """Apply an event of an item."""
        item_id, item = apply_event(self.head, event)
        self.changed[item_id] = (self.head["sequence"], item)

    def views(self) -> tuple[list[Document], list[Document], list[str]]:
        """The documents to insert, the documents to replace, and the ids of documents to delete."""
        new: list[Document] = []
        replaced: list[Document] = []
        gone: list[str] = []
        for item_id, (sequence, item) in self.changed.items():
            if item is not None:
                (replaced if item_id in self._items else new).append(item_view(self.gallery_id, sequence, item))
            elif item_id in self._items:
                gone.append(f"{self.gallery_id}/{item_id}")
        return new, replaced, gone

    def records(self) -> Iterable[Message]:
        """The records of the changed items, and of the gallery last."""
        for item_id, (sequence, item) in self.changed.items():
            key = f"{self.gallery_id}/{item_id}".encode()
            if item is None:
                self._items.pop(item_id, None)
                yield key, None, HEADERS
                continue
            encoded = orjson.dumps(item)
            self._items[item_id] = (-item["sortOrder"], encoded)
            yield key, self._item_value(item_id, sequence, encoded), HEADERS
        yield self.gallery_id.encode(), self._head_value(), HEADERS

    def _item_value(self, item_id: str, sequence: int, encoded: bytes) -> bytes:
        return b'{"galleryId":"%b","siteId":"default","itemId":"%b","sequence":%d,"gallery":%b,"item":%b}' % (
            self.gallery_id.encode(),
            item_id.encode(),
            sequence,
            self._encoded,
            encoded,
        )

    def _head_value(self) -> bytes:
        total = self.head["totalItems"]
        # Joining bytes costs a fraction of what orjson needs for a fragment of each item.
        first = b",".join([encoded for _, encoded in sorted(self._items.values())[:HEAD_ITEMS]])
        return (
            b'{"galleryId":"%b","siteId":"default","sequence":%d,"totalItems":%d,'
            b'"gallery":%b,"totalItems":%d,"items":[]},"items":[%b],"itemsTruncated":false}'
            % (self.gallery_id.encode(), self.head["sequence"], total, self._encoded[:-1], total, first)
        )


class Lane:
    """Handles the batches of some partitions one after the other: fold, one transaction, publish."""

    def __init__(self, publisher: Publisher, mongo: Mongo) -> None:
        self._publisher = publisher
        self._mongo = mongo
        self._galleries: dict[str, Gallery] = {}

    async def run(self, partitions: range, batch_size: int) -> None:
        """Project the events of some partitions, until killed."""
        async with open_consumer("events", partitions) as consumer:
            async for batch in each_batch(consumer, batch_size):
                await self._handle(batch)

    async def _handle(self, batch: Batch) -> None:
        touched: dict[str, Gallery] = {}
        for partition, records in batch.items():
            for record in records:
                event = orjson.loads(record.value)
                gallery_id = event["entityId"]
                if "createdEvent" in event:
                    created = Gallery(event["createdEvent"]["entity"], partition.partition)
                    touched[gallery_id] = self._galleries[gallery_id] = created
                    continue
                gallery = touched[gallery_id] = self._galleries[gallery_id]
                gallery.apply(event)
        await self._save(list(touched.values()))
        records_of: dict[Destination, list[Message]] = defaultdict(list)
        for gallery in touched.values():
            records_of["galleries", gallery.partition].extend(gallery.records())
            gallery.changed, gallery.is_stored = {}, True
        await self._publisher.publish(records_of)

    async def _save(self, galleries: list[Gallery]) -> None:
        new: list[Document] = []
        replaced: list[Document] = []
        gone: list[str] = []
        for gallery in galleries:
            added, changed, deleted = gallery.views()
            new += added
            replaced += map(replacement, changed)
            gone += deleted
        stored = [replacement(gallery.head) for gallery in galleries if gallery.is_stored]
        owned = fences({gallery.partition for gallery in galleries})
        async with (mongo := self._mongo).transaction():
            await mongo.update("gallery_views", owned + stored)
            await mongo.insert("gallery_views", [gallery.head for gallery in galleries if not gallery.is_stored])
            await mongo.update("item_views", replaced)
            await mongo.delete("item_views", gone)
            await mongo.insert("item_views", new)


async def main(batch_size: int, lanes: int) -> None:
    """Run until killed."""
    async with open_publisher() as publisher, AsyncExitStack() as stack:
        partitions = await publisher.partitions("events")
        every = [(await stack.enter_async_context(open_mongo()), lane) for lane in lanes_of(partitions, lanes)]
        await claim(every[0][0], "gallery_views", range(partitions))
        tune_garbage_collector()
        await asyncio.gather(*(Lane(publisher, mongo).run(lane, batch_size) for mongo, lane in every))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
