"""A naive command service, as in tutorials: one typed message at a time, acknowledged by the framework.

It does less than the product: no reply, no idempotency, no transaction. A crash loses commands or leaves one half done.
Usage: `python -m benchmarks.baselines.naive`, with the settings of the command service.
"""

import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from pydantic import BaseModel
from pymongo import AsyncMongoClient

PREFIX = os.environ["TRIPTYCH_TOPIC_PREFIX"]

broker = KafkaBroker(os.environ["TRIPTYCH_KAFKA_BOOTSTRAP"], logger=None)
client = AsyncMongoClient[dict[str, Any]](os.environ["TRIPTYCH_MONGO_URI"])
database = client[os.environ["TRIPTYCH_MONGO_DATABASE"]]


class Link(BaseModel):
    """The target of a click."""

    text: str
    url: str


class ImageInfo(BaseModel):
    """The file of a picture."""

    id: str
    url: str
    height: int
    width: int
    altText: str  # noqa: N815
    filename: str


class FocalPoint(BaseModel):
    """The point that cropping keeps."""

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


class ItemPatch(BaseModel):
    """The changed fields."""

    title: str | None = None
    description: str | None = None
    tags: Tags | None = None


class UpdateItem(BaseModel):
    """The command."""

    galleryId: str  # noqa: N815
    itemId: str  # noqa: N815
    item: ItemPatch


class MoveItem(BaseModel):
    """The command."""

    galleryId: str  # noqa: N815
    itemId: str  # noqa: N815
    before: str | None = None
    after: str | None = None
    to: str | None = None


class DeleteItems(BaseModel):
    """The command."""

    galleryId: str  # noqa: N815
    itemIds: list[str]  # noqa: N815


commands = broker.subscriber(f"{PREFIX}commands", group_id=f"{PREFIX}naive", auto_offset_reset="earliest")


def _named(name: str) -> Callable[[KafkaMessage], bool]:
    return lambda message: message.headers["ce_type"].endswith(name)


@commands(filter=_named("CreateItems"))
async def create_items(command: CreateItems) -> None:
    """Store each item and publish its event."""
    for item in command.items:
        top = await database["items"].find_one({"galleryId": command.galleryId}, sort=[("sortOrder", -1)])
        sort_order = max(time.time() * 1000 // 1, top["sortOrder"] + 1 if top else 0.0)
        now = datetime.now(UTC).isoformat()
        body = {**item.model_dump(), "id": str(uuid.uuid4()), "createdDate": now, "updatedDate": now}
        await database["items"].insert_one(
            {"_id": body["id"], "galleryId": command.galleryId, "sortOrder": sort_order, "item": body}
        )
        await publish(command.galleryId, "gallery_item_created", {"item": body}, total=1)


@commands(filter=_named("UpdateItem"))
async def update_item(command: UpdateItem) -> None:
    """Change the item and publish its event."""
    item = await database["items"].find_one({"_id": command.itemId, "galleryId": command.galleryId})
    if item is None:
        return
    body = {**item["item"], **command.item.model_dump(exclude_none=True), "updatedDate": datetime.now(UTC).isoformat()}
    await database["items"].update_one({"_id": command.itemId}, {"$set": {"item": body}})
    await publish(command.galleryId, "gallery_item_updated", {"updatedItem": body})


@commands(filter=_named("MoveItem"))
async def move_item(command: MoveItem) -> None:
    """Move the item between its new neighbours and publish its event."""
    item = await database["items"].find_one({"_id": command.itemId, "galleryId": command.galleryId})
    if item is None:
        return
    others = {"galleryId": command.galleryId, "_id": {"$ne": command.itemId}}
    target = await database["items"].find_one({**others, "_id": command.before or command.after})
    is_above = command.before is not None or command.to == "end"
    if target is not None:
        others["sortOrder"] = {"$gt" if is_above else "$lt": target["sortOrder"]}
    neighbour = await database["items"].find_one(others, sort=[("sortOrder", 1 if is_above else -1)])
    known = [found["sortOrder"] for found in (target, neighbour) if found is not None]
    if len(known) == 2:
        sort_order = sum(known) / 2
    else:
        sort_order = known[0] + (1000 if command.to == "start" or command.before else -1000)
    body = {**item["item"], "sortOrder": sort_order, "updatedDate": datetime.now(UTC).isoformat()}
    await database["items"].update_one({"_id": command.itemId}, {"$set": {"sortOrder": sort_order, "item": body}})
    await publish(command.galleryId, "gallery_item_updated", {"updatedItem": body})


@commands(filter=_named("DeleteItems"))
async def delete_items(command: DeleteItems) -> None:
    """Delete each item and publish its event."""
    for item_id in command.itemIds:
        deleted = await database["items"].delete_one({"_id": item_id, "galleryId": command.galleryId})
        if deleted.deleted_count:
            await publish(command.galleryId, "gallery_item_deleted", {"itemId": item_id}, total=-1)


async def publish(gallery_id: str, slug: str, body: dict[str, Any], total: int = 0) -> None:
    """Count the change in its gallery and publish its event."""
    gallery = await database["galleries"].find_one_and_update(
        {"_id": gallery_id}, {"$inc": {"sequence": 1, "totalItems": total}}, return_document=True
    )
    if gallery is None:
        return
    event = {
        "eventType": f"wix.pro_gallery.gallery_v2_{slug}",
        "id": str(uuid.uuid4()),
        "entityFqdn": "wix.pro_gallery.v2.gallery",
        "slug": slug,
        "entityId": gallery_id,
        "eventTime": datetime.now(UTC).isoformat(),
        "entityEventSequence": str(gallery["sequence"]),
        "actionEvent": {"body": body},
    }
    await broker.publish(event, f"{PREFIX}events", key=gallery_id.encode())


if __name__ == "__main__":
    uvloop.run(FastStream(broker).run())
