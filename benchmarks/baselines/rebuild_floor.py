"""The floor of a rebuild: reads the events topic to its end and inserts the final documents in bulk.

It compares nothing, cannot be interrupted, and has all documents in memory.
Usage: `python -m benchmarks.baselines.rebuild_floor VERSION`, with the settings of the projector.
"""

import gc
import os
import sys
from typing import Any

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from pymongo import AsyncMongoClient
from pymongo.write_concern import WriteConcern

Document = dict[str, Any]
AT_ONCE = 5_000


async def main(version: str) -> None:
    """Read and fold all events, insert the documents, and end."""
    bootstrap, prefix = os.environ["TRIPTYCH_KAFKA_BOOTSTRAP"], os.environ["TRIPTYCH_TOPIC_PREFIX"]
    client = AsyncMongoClient[Document](os.environ["TRIPTYCH_MONGO_URI"], tz_aware=True)
    database = client.get_database(os.environ["TRIPTYCH_MONGO_DATABASE"], write_concern=WriteConcern("majority"))
    heads: dict[str, Document] = {}
    items: dict[str, Document] = {}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest")
    gc.freeze()
    gc.set_threshold(500_000, 20, 20)
    async with consumer, client:
        partitions = [TopicPartition(f"{prefix}events", number) for number in range(12)]
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        remaining = sum(ends.values())
        while remaining:
            for records in (await consumer.getmany(timeout_ms=500, max_records=AT_ONCE)).values():
                remaining -= len(records)
                for record in records:
                    _fold(orjson.loads(record.value), heads, items)
        for name, documents in (("item_views", list(items.values())), ("gallery_views", list(heads.values()))):
            for start in range(0, len(documents), AT_ONCE):
                await database[f"{name}_{version}"].insert_many(documents[start : start + AT_ONCE], ordered=False)


def _fold(event: Document, heads: dict[str, Document], items: dict[str, Document]) -> None:
    gallery_id, sequence = event["entityId"], int(event["entityEventSequence"])
    if "createdEvent" in event:
        gallery = event["createdEvent"]["entity"]
        fields = {name: gallery[name] for name in ("name", "sortOrder", "createdDate")}
        heads[gallery_id] = {"_id": gallery_id, "siteId": "default", **fields, "sequence": sequence, "totalItems": 0}
        return
    head, body = heads[gallery_id], event["actionEvent"]["body"]
    head["sequence"] = sequence
    if "itemId" in body:
        head["totalItems"] -= 1
        del items[body["itemId"]]
        return
    head["totalItems"] += "item" in body
    item = body.get("item") or body["updatedItem"]
    items[item["id"]] = {
        "_id": f"{gallery_id}/{item['id']}",
        "siteId": "default",
        "galleryId": gallery_id,
        "sortOrder": float(item["sortOrder"]),
        "sequence": sequence,
        "type": item["type"],
        "tags": item["tags"]["values"],
        "item": item,
    }


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
