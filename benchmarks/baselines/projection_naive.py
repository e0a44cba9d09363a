"""A naive projection, as in tutorials: one event at a time, and one record for a gallery with its first items.

It promises less than the projector: it detects neither repeats nor gaps, and has no transaction. A crash loses or
repeats changes.
Usage: `python -m benchmarks.baselines.projection_naive`, with the settings of the projector.
"""

import os
from typing import Any

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker
from pymongo import AsyncMongoClient

PREFIX = os.environ["TRIPTYCH_TOPIC_PREFIX"]
HEAD_ITEMS = 100

broker = KafkaBroker(os.environ["TRIPTYCH_KAFKA_BOOTSTRAP"], logger=None)
client = AsyncMongoClient[dict[str, Any]](os.environ["TRIPTYCH_MONGO_URI"])
database = client[os.environ["TRIPTYCH_MONGO_DATABASE"]]


@broker.subscriber(f"{PREFIX}events", group_id=f"{PREFIX}naive", auto_offset_reset="earliest")
async def project(event: dict[str, Any]) -> None:
    """Change a gallery or one of its items, and publish both."""
    gallery_id, sequence = event["entityId"], int(event["entityEventSequence"])
    key = gallery_id.encode()
    body = event.get("actionEvent", {}).get("body", {})
    fields: dict[str, Any] = {"siteId": "default"}
    added, item = 0, {}
    if "createdEvent" in event:
        gallery = event["createdEvent"]["entity"]
        fields |= {"name": gallery["name"], "sortOrder": gallery["sortOrder"], "createdDate": gallery["createdDate"]}
    elif "itemId" in body:
        added = -1
        await database["item_views"].delete_one({"_id": body["itemId"]})
    else:
        added = int("item" in body)
        item = body.get("item") or body["updatedItem"]
        document = {"galleryId": gallery_id, "sortOrder": item["sortOrder"], "sequence": sequence, "item": item}
        await database["item_views"].replace_one({"_id": item["id"]}, document, upsert=True)
    head = await database["gallery_views"].find_one_and_update(
        {"_id": gallery_id},
        {"$set": {**fields, "sequence": sequence}, "$inc": {"totalItems": added}},
        upsert=True,
        return_document=True,
    )
    assert head is not None
    if body:
        item_id = body.get("itemId") or item["id"]
        record = None if "itemId" in body else {"galleryId": gallery_id, "sequence": sequence, "item": item}
        await broker.publish(record, f"{PREFIX}galleries", key=f"{gallery_id}/{item_id}".encode())
    first = database["item_views"].find({"galleryId": gallery_id}).sort("sortOrder", -1).limit(HEAD_ITEMS)
    items = [found["item"] for found in await first.to_list()]
    value = {"galleryId": gallery_id, "sequence": sequence, "totalItems": head["totalItems"], "items": items}
    await broker.publish(value, f"{PREFIX}galleries", key=key)


if __name__ == "__main__":
    uvloop.run(FastStream(broker).run())
