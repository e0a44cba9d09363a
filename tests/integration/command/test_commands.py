"""The command service on real servers: commands in, events and replies out, state in MongoDB."""

import json
import uuid
from typing import Any

from services.command.app import compose
from services.command.settings import CommandSettings
from tests.support.installation import Installation
from tests.support.kafka import Record, raw_producer, topic_reader

TEXT = {"text": {"html": "<p>hello</p>"}}


def structured(name: str, data: dict[str, Any], **attributes: str) -> bytes:
    """A command as a stranger would write it: one JSON object."""
    return json.dumps(
        {
            "specversion": "1.0",
            "type": f"triptych.command.v1.{name}",
            "source": "tests",
            "id": str(uuid.uuid4()),
            "datacontenttype": "application/json",
            "data": data,
            **attributes,
        }
    ).encode()


def body(record: Record) -> dict[str, Any]:
    """The JSON value of a record."""
    decoded: dict[str, Any] = json.loads(record.value)
    return decoded


async def test_gallery_with_items_then_more_items(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    gallery_id = str(uuid.uuid4())
    async with (
        compose(installation.settings(CommandSettings)),
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.replies) as replies,
        topic_reader(bootstrap, topics.events) as events,
    ):
        create = structured("CreateGallery", {"galleryId": gallery_id, "gallery": {"name": "N", "items": [TEXT, TEXT]}})
        await producer.send_and_wait(topics.commands, create, key=gallery_id.encode())
        (reply,) = await replies.read_count(1)
        assert body(reply)["outcome"] == "accepted"
        assert body(reply)["sequence"] == 3

        add = structured("CreateItems", {"galleryId": gallery_id, "items": [TEXT, TEXT]}, correlationid="c-7")
        await producer.send_and_wait(topics.commands, add, key=gallery_id.encode())
        _, reply = await replies.read_count(2)
        assert reply.key == b"c-7"
        assert body(reply)["sequence"] == 5
        assert len(body(reply)["itemIds"]) == 2

        published = await events.read_count(5)
        assert [body(event)["entityEventSequence"] for event in published] == ["1", "2", "3", "4", "5"]
        assert {event.key for event in published} == {gallery_id.encode()}

    head = await installation.database["galleries"].find_one({"_id": gallery_id})
    assert head is not None
    assert (head["totalItems"], head["sequence"]) == (4, 5)
    orders = [item["sortOrder"] async for item in installation.database["items"].find({"galleryId": gallery_id})]
    assert len(set(orders)) == 4
    assert await installation.database["outbox"].count_documents({"pending": True}) == 0
