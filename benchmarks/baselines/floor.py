"""The floor of create-items: the reads and writes of the command service by the same clients, and no product code.

It skips what costs judgement instead of I/O: validation, rejections, retries, repeated commands, forwarding, metrics.
Usage: `python -m benchmarks.baselines.floor BATCH_SIZE`, with the settings of the command service.
"""

import asyncio
import gc
import os
import sys
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import orjson
import uuid_utils
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2
from bson import Binary
from pymongo import AsyncMongoClient, InsertOne, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

BATCH_BYTES = 512 * 1024

Document = dict[str, Any]
Message = tuple[bytes, bytes, list[tuple[str, bytes]]]


class Floor:
    """One batch after the other: load, decide, one transaction, publish, mark, commit."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        database: AsyncDatabase[Document],
        prefix: str,
        partitions: int,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._database = database
        self._events = f"{prefix}events"
        self._replies = f"{prefix}replies"
        self._partitions = partitions
        self._number = 0

    async def claim(self) -> None:
        """Own all partitions, as the only consumer."""
        owners = [{"scope": "floor", "partition": partition, "writes": 0} for partition in range(self._partitions)]
        await self._database["partition_owners"].insert_many(owners)

    async def handle(self, batch: dict[TopicPartition, list[Any]]) -> None:
        """Carry out a batch of commands."""
        at = datetime.now(UTC)
        now = at.isoformat(timespec="milliseconds")[:-6] + "Z"
        now_ms = at.timestamp() * 1000 // 1
        commands = [
            (place.partition, dict(record.headers)["ce_id"].decode(), orjson.loads(record.value))
            for place, records in batch.items()
            for record in records
        ]
        _, heads = await asyncio.gather(
            self._find("processed_commands", [f"default/{command_id}" for _, command_id, _ in commands]),
            self._find("galleries", list({data["galleryId"] for _, _, data in commands})),
        )
        loaded = {gallery_id: head["sequence"] for gallery_id, head in heads.items()}
        items: list[Document] = []
        processed: list[Document] = []
        events: dict[int, list[Message]] = defaultdict(list)
        replies: dict[int, list[Message]] = defaultdict(list)
        for partition, command_id, data in commands:
            head = heads[data["galleryId"]]
            item_ids = []
            for item in data["items"]:
                head["sequence"] += 1
                head["totalItems"] += 1
                head["lastDefault"] = head["highest"] = place = max(now_ms, head["lastDefault"] + 1)
                item["id"] = str(uuid_utils.uuid7())
                item["sortOrder"] = int(place)
                item["type"] = "IMAGE"
                item["createdDate"] = item["updatedDate"] = now
                item_ids.append(item["id"])
                items.append(
                    {
                        "_id": item["id"],
                        "siteId": "default",
                        "galleryId": head["_id"],
                        "sortOrder": place,
                        "item": item,
                    }
                )
                events[partition].append(_event(head, item, command_id, now))
            reply = {
                "commandId": command_id,
                "outcome": "accepted",
                "galleryId": head["_id"],
                "sequence": head["sequence"],
                "itemIds": item_ids,
            }
            processed.append({"_id": f"default/{command_id}", "reply": reply, "at": at})
            message = _reply(reply)
            replies[(murmur2(message[0]) & 0x7FFFFFFF) % self._partitions].append(message)
        rows = [self._row(partition, messages) for partition, messages in events.items()]
        await self._save([heads[gallery_id] for gallery_id in loaded], loaded, items, rows, processed)
        await asyncio.gather(
            *(self._publish(self._events, partition, messages) for partition, messages in events.items()),
            *(self._publish(self._replies, partition, messages) for partition, messages in replies.items()),
        )
        await self._database["outbox"].update_many(
            {"_id": {"$in": [row["_id"] for row in rows]}},
            {"$set": {"publishedAt": datetime.now(UTC)}, "$unset": {"pending": ""}},
        )
        await self._consumer.commit({place: records[-1].offset + 1 for place, records in batch.items()})

    async def _find(self, collection: str, ids: list[str]) -> dict[str, Document]:
        return {found["_id"]: found async for found in self._database[collection].find({"_id": {"$in": ids}})}

    async def _save(
        self,
        heads: list[Document],
        loaded: dict[str, int],
        items: list[Document],
        rows: list[Document],
        processed: list[Document],
    ) -> None:
        database = self._database
        updates: list[InsertOne[Document] | UpdateOne] = [
            UpdateOne(
                {"_id": head["_id"], "sequence": loaded[head["_id"]]},
                {"$set": {name: value for name, value in head.items() if name != "_id"}},
            )
            for head in heads
        ]
        touched = [row["partition"] for row in rows]
        async with database.client.start_session() as session, await session.start_transaction():
            await database["partition_owners"].update_many(
                {"scope": "floor", "partition": {"$in": touched}}, {"$inc": {"writes": 1}}, session=session
            )
            await database["galleries"].bulk_write(updates, ordered=False, session=session)
            await database["items"].insert_many(items, ordered=False, session=session)
            await database["outbox"].insert_many(rows, ordered=False, session=session)
            await database["processed_commands"].insert_many(processed, ordered=False, session=session)

    def _row(self, partition: int, messages: list[Message]) -> Document:
        self._number += 1
        return {
            "_id": f"{partition}-1-{self._number}",
            "partition": partition,
            "epoch": 1,
            "number": self._number,
            "pending": True,
            "events": [
                {
                    "key": key.decode(),
                    "value": Binary(value),
                    "headers": Binary(orjson.dumps([[name, text.decode()] for name, text in headers])),
                }
                for key, value, headers in messages
            ],
        }

    async def _publish(self, topic: str, partition: int, messages: list[Message]) -> None:
        acknowledgements = []
        batch = self._producer.create_batch()
        for key, value, headers in messages:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                acknowledgements.append(await self._producer.send_batch(batch, topic, partition=partition))
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        acknowledgements.append(await self._producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*acknowledgements)


def _event(head: Document, item: Document, command_id: str, now: str) -> Message:
    gallery_id, sequence, event_id = head["_id"], str(head["sequence"]), str(uuid_utils.uuid7())
    event = {
        "eventType": "wix.pro_gallery.gallery_v2_gallery_item_created",
        "id": event_id,
        "entityFqdn": "wix.pro_gallery.v2.gallery",
        "slug": "gallery_item_created",
        "entityId": gallery_id,
        "eventTime": now,
        "triggeredByAnonymizeRequest": False,
        "originatedFrom": "",
        "entityEventSequence": sequence,
        "actionEvent": {"body": {"item": item}},
    }
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_type", b"wix.pro_gallery.gallery_v2_gallery_item_created"),
        ("ce_source", b"triptych/command"),
        ("ce_time", now.encode()),
        ("ce_subject", gallery_id.encode()),
        ("ce_sequence", sequence.encode()),
        ("ce_siteid", b"default"),
        ("ce_correlationid", command_id.encode()),
        ("ce_causationid", command_id.encode()),
        ("content-type", b"application/json"),
    ]
    return gallery_id.encode(), orjson.dumps(event), headers


def _reply(reply: Document) -> Message:
    command_id = reply["commandId"].encode()
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", command_id),
        ("ce_type", b"triptych.reply.v1"),
        ("ce_source", b"triptych/command"),
        ("ce_subject", reply["galleryId"].encode()),
        ("ce_siteid", b"default"),
        ("ce_correlationid", command_id),
        ("ce_causationid", command_id),
        ("content-type", b"application/json"),
    ]
    return command_id, orjson.dumps(reply), headers


async def main(batch_size: int) -> None:
    """Run until killed."""
    bootstrap, prefix = os.environ["TRIPTYCH_KAFKA_BOOTSTRAP"], os.environ["TRIPTYCH_TOPIC_PREFIX"]
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, max_batch_size=BATCH_BYTES, compression_type="lz4"
    )
    consumer = AIOKafkaConsumer(
        f"{prefix}commands",
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
    async with producer, consumer, client:
        partitions = len(await producer.partitions_for(f"{prefix}commands"))
        floor = Floor(consumer, producer, database, prefix, partitions)
        await floor.claim()
        while True:
            batch = await consumer.getmany(timeout_ms=200, max_records=batch_size)
            if batch:
                await floor.handle(batch)


if __name__ == "__main__":
    # Batches make thousands of objects that live as long as the batch; looking through them costs a tenth of the time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    uvloop.run(main(int(sys.argv[1])))
