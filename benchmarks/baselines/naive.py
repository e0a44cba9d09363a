"""A naive create-items service, as tutorials show it: one typed message at a time, acknowledged by the framework.

It does less than the product: no reply, no idempotency, no transaction; a crash loses commands or leaves half of one.
Usage: `python -m benchmarks.baselines.naive`, with the settings of the command service.
"""

import os
import uuid
from datetime import UTC, datetime
from typing import Any

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker
from pydantic import BaseModel
from pymongo import AsyncMongoClient

PREFIX = os.environ["TRIPTYCH_TOPIC_PREFIX"]

broker = KafkaBroker(os.environ["TRIPTYCH_KAFKA_BOOTSTRAP"], logger=None)
client = AsyncMongoClient[dict[str, Any]](os.environ["TRIPTYCH_MONGO_URI"])
database = client[os.environ["TRIPTYCH_MONGO_DATABASE"]]


class Link(BaseModel):
    """Where a click leads."""

    text: str
    url: str


class ImageInfo(BaseModel):
    """Which picture."""

    id: str
    url: str
    height: int
    width: int
    altText: str  # noqa: N815
    filename: str


class FocalPoint(BaseModel):
    """What cropping keeps."""

    x: float
    y: float


class Image(BaseModel):
    """A picture and how it is shown."""

    imageInfo: ImageInfo  # noqa: N815
    focalPoint: FocalPoint  # noqa: N815
    quality: int


class Tags(BaseModel):
    """Words for searching."""

    values: list[str]


class Item(BaseModel):
    """An item of a gallery."""

    title: str
    description: str
    link: Link
    image: Image
    tags: Tags


class CreateItems(BaseModel):
    """The command."""

    galleryId: str  # noqa: N815
    items: list[Item]


@broker.subscriber(f"{PREFIX}commands", group_id=f"{PREFIX}naive", auto_offset_reset="earliest")
async def create_items(command: CreateItems) -> None:
    """Store each item and tell of it."""
    for item in command.items:
        gallery = await database["galleries"].find_one_and_update(
            {"_id": command.galleryId}, {"$inc": {"sequence": 1, "totalItems": 1}}, return_document=True
        )
        if gallery is None:
            return
        now = datetime.now(UTC).isoformat()
        body = {**item.model_dump(), "id": str(uuid.uuid4()), "createdDate": now, "updatedDate": now}
        await database["items"].insert_one(
            {"_id": body["id"], "galleryId": command.galleryId, "sortOrder": gallery["sequence"], "item": body}
        )
        event = {
            "eventType": "wix.pro_gallery.gallery_v2_gallery_item_created",
            "id": str(uuid.uuid4()),
            "entityFqdn": "wix.pro_gallery.v2.gallery",
            "slug": "gallery_item_created",
            "entityId": command.galleryId,
            "eventTime": now,
            "entityEventSequence": str(gallery["sequence"]),
            "actionEvent": {"body": {"item": body}},
        }
        await broker.publish(event, f"{PREFIX}events", key=command.galleryId.encode())


if __name__ == "__main__":
    uvloop.run(FastStream(broker).run())
