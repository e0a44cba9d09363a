"""The floor of projection: the reads and writes of the projector by the same clients, without product code.

It does not check sequences, gaps, invalid records or other owners, and bounds neither memory nor records. It caches the
first items of galleries in memory, as the projector does.
Usage: `python -m benchmarks.baselines.projection_floor BATCH_SIZE`, with the settings of the projector.
"""

import asyncio
import gc
import os
import sys
from collections import defaultdict
from typing import Any

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pymongo import AsyncMongoClient, DeleteOne, ReplaceOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from triptych.kit.kafka import fast_gzip

fast_gzip.install()  # the codec of the product, so that the floor is not slower

BATCH_BYTES = 512 * 1024
HEAD_ITEMS = 100
HEADERS = [("content-type", b"application/json")]
HEAD_FIELDS = ("id", "name", "sortOrder", "createdDate")

Document = dict[str, Any]


class Floor:
    """Handles batches one after the other: fold, one transaction, publish, commit."""

    def __init__(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, database: AsyncDatabase[Document], topic: str
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._database = database
        self._topic = topic
        self._heads: dict[str, Document] = {}
        self._items: dict[str, dict[str, tuple[float, bytes]]] = defaultdict(dict)

    async def claim(self, partitions: int) -> None:
        """Claim all partitions, as the only consumer."""
        owners = [{"scope": "floor", "partition": partition, "writes": 0} for partition in range(partitions)]
        await self._database["partition_owners"].insert_many(owners)

    async def handle(self, batch: dict[TopicPartition, list[Any]]) -> None:
        """Project a batch of events."""
        items: dict[str, tuple[str, int, Document | None]] = {}
        touched: dict[int, dict[str, None]] = {partition.partition: {} for partition in batch}
        for partition, records in batch.items():
            for record in records:
                event = orjson.loads(record.value)
                gallery_id, sequence = event["entityId"], int(event["entityEventSequence"])
                touched[partition.partition][gallery_id] = None
                if "createdEvent" in event:
                    self._heads[gallery_id] = {**event["createdEvent"]["entity"], "totalItems": 0}
                    continue
                head = self._heads[gallery_id]
                head["sequence"] = sequence
                body = event["actionEvent"]["body"]
                if "itemId" in body:
                    items[body["itemId"]] = (gallery_id, sequence, None)
                    head["totalItems"] -= 1
                else:
                    head["totalItems"] += "item" in body
                    item = body.get("item") or body["updatedItem"]
                    items[item["id"]] = (gallery_id, sequence, item)
        await self._save(touched, items)
        await self._publish(touched, items)
        await self._consumer.commit({partition: records[-1].offset + 1 for partition, records in batch.items()})

    async def _save(
        self, touched: dict[int, dict[str, None]], items: dict[str, tuple[str, int, Document | None]]
    ) -> None:
        writes: list[DeleteOne | ReplaceOne[Document]] = []
        for item_id, (gallery_id, sequence, item) in items.items():
            if item is None:
                writes.append(DeleteOne({"_id": f"{gallery_id}/{item_id}"}))
                continue
            document = {
                "_id": f"{gallery_id}/{item_id}",
                "siteId": "default",
                "galleryId": gallery_id,
                "sortOrder": float(item["sortOrder"]),
                "sequence": sequence,
                "type": item["type"],
                "tags": item["tags"]["values"],
                "item": item,
            }
            writes.append(ReplaceOne({"_id": document["_id"]}, document, upsert=True))
        heads = [
            ReplaceOne(
                {"_id": gallery_id},
                {
                    "_id": gallery_id,
                    "siteId": "default",
                    "sequence": head.get("sequence", 1),
                    "name": head["name"],
                    "sortOrder": head["sortOrder"],
                    "createdDate": head["createdDate"],
                    "createdAt": head["createdDate"],
                    "totalItems": head["totalItems"],
                },
                upsert=True,
            )
            for galleries in touched.values()
            for gallery_id in galleries
            for head in (self._heads[gallery_id],)
        ]
        database = self._database
        async with database.client.start_session() as session, await session.start_transaction():
            await database["partition_owners"].update_many(
                {"scope": "floor", "partition": {"$in": list(touched)}}, {"$inc": {"writes": 1}}, session=session
            )
            if writes:
                await database["item_views"].bulk_write(writes, ordered=False, session=session)
            await database["gallery_views"].bulk_write(heads, ordered=False, session=session)

    async def _publish(
        self, touched: dict[int, dict[str, None]], items: dict[str, tuple[str, int, Document | None]]
    ) -> None:
        of_gallery: dict[str, list[tuple[bytes, bytes | None]]] = defaultdict(list)
        galleries: dict[str, orjson.Fragment] = {}
        for item_id, (gallery_id, sequence, item) in items.items():
            known, value = self._items[gallery_id], None
            if item is None:
                known.pop(item_id, None)
            else:
                encoded = orjson.dumps(item)
                known[item_id] = (-item["sortOrder"], encoded)
                if gallery_id not in galleries:
                    head = self._heads[gallery_id]
                    galleries[gallery_id] = orjson.Fragment(orjson.dumps({name: head[name] for name in HEAD_FIELDS}))
                value = orjson.dumps(
                    {
                        "galleryId": gallery_id,
                        "siteId": "default",
                        "itemId": item_id,
                        "sequence": sequence,
                        "gallery": galleries[gallery_id],
                        "item": orjson.Fragment(encoded),
                    }
                )
            of_gallery[gallery_id].append((f"{gallery_id}/{item_id}".encode(), value))
        await asyncio.gather(
            *(self._send(partition, list(of_partition), of_gallery) for partition, of_partition in touched.items())
        )

    async def _send(
        self, partition: int, galleries: list[str], of_gallery: dict[str, list[tuple[bytes, bytes | None]]]
    ) -> None:
        acknowledgements = []
        batch = self._producer.create_batch()
        for gallery_id in galleries:
            for key, value in (*of_gallery[gallery_id], (gallery_id.encode(), self._head(gallery_id))):
                if batch.append(key=key, value=value, timestamp=None, headers=HEADERS) is None:
                    acknowledgements.append(await self._producer.send_batch(batch, self._topic, partition=partition))
                    batch = self._producer.create_batch()
                    batch.append(key=key, value=value, timestamp=None, headers=HEADERS)
        acknowledgements.append(await self._producer.send_batch(batch, self._topic, partition=partition))
        await asyncio.gather(*acknowledgements)

    def _head(self, gallery_id: str) -> bytes:
        head = self._heads[gallery_id]
        first = sorted(self._items[gallery_id].values())[:HEAD_ITEMS]
        return orjson.dumps(
            {
                "galleryId": gallery_id,
                "siteId": "default",
                "sequence": head.get("sequence", 1),
                "totalItems": head["totalItems"],
                "gallery": {name: head[name] for name in (*HEAD_FIELDS, "totalItems")},
                "items": [orjson.Fragment(item) for _, item in first],
                "itemsTruncated": False,
            }
        )


async def main(batch_size: int) -> None:
    """Run until killed."""
    bootstrap, prefix = os.environ["TRIPTYCH_KAFKA_BOOTSTRAP"], os.environ["TRIPTYCH_TOPIC_PREFIX"]
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, max_batch_size=BATCH_BYTES, compression_type="gzip"
    )
    consumer = AIOKafkaConsumer(
        f"{prefix}events",
        bootstrap_servers=bootstrap,
        group_id=f"{prefix}floor",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    client = AsyncMongoClient[Document](os.environ["TRIPTYCH_MONGO_URI"], tz_aware=True)
    database = client.get_database(
        os.environ["TRIPTYCH_MONGO_DATABASE"],
        read_concern=ReadConcern("majority"),
        write_concern=WriteConcern("majority"),
    )
    # The objects created so far are never freed. The collector would visit them again and again.
    gc.freeze()
    gc.set_threshold(500_000, 20, 20)
    async with producer, consumer, client:
        floor = Floor(consumer, producer, database, f"{prefix}galleries")
        await floor.claim(len(await producer.partitions_for(f"{prefix}events")))
        while True:
            batch = await consumer.getmany(timeout_ms=200, max_records=batch_size)
            if batch:
                await floor.handle(batch)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
