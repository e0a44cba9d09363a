"""The command service on real servers: commands in, events and replies out, state in MongoDB."""

import uuid

import pytest

from tests.support.commands import TEXT, body, header, structured
from tests.support.installation import Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.write_model import until_all_is_marked
from triptych.command.app import compose
from triptych.command.settings import CommandSettings


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_a_gallery_with_items_then_more_items(installation: Installation, driver: str) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    gallery_id = str(uuid.uuid4())
    async with (
        compose(installation.settings(CommandSettings, mongo_driver=driver)),
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
        assert header(published[4], "ce_correlationid") == "c-7"

    head = await installation.database["galleries"].find_one({"_id": gallery_id})
    assert head is not None
    assert (head["totalItems"], head["sequence"]) == (4, 5)
    orders = [item["sortOrder"] async for item in installation.database["items"].find({"galleryId": gallery_id})]
    assert len(set(orders)) == 4
    await until_all_is_marked(installation.database)


async def test_the_same_command_twice_has_one_effect_and_one_answer(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    create = structured("CreateGallery", {"gallery": {"items": [TEXT]}}, id="once")
    async with (
        compose(installation.settings(CommandSettings)),
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.replies) as replies,
        topic_reader(bootstrap, topics.events) as events,
    ):
        # One copy on each partition: two of them are forwarded to the gallery's partition.
        for partition in (0, 1, 2):
            await producer.send_and_wait(topics.commands, create, partition=partition)
        answers = await replies.read_count(3)
        assert len({answer.value for answer in answers}) == 1
        assert body(answers[0])["outcome"] == "accepted"
        await producer.send_and_wait(topics.commands, structured("CreateGallery", {}, id="last"))
        await replies.read_count(4)
        first = [event for event in await events.read_count(3) if header(event, "ce_causationid") == "once"]
        assert [body(event)["entityEventSequence"] for event in first] == ["1", "2"]
        assert len(events.records) == 3


async def test_the_same_id_in_two_sites_is_two_commands(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    async with (
        compose(installation.settings(CommandSettings)),
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.replies) as replies,
    ):
        for site in ("red", "blue"):
            await producer.send_and_wait(topics.commands, structured("CreateGallery", {}, id="same", siteid=site))
        answers = [body(answer) for answer in await replies.read_count(2)]
        assert [answer["outcome"] for answer in answers] == ["accepted", "accepted"]
        assert answers[0]["galleryId"] != answers[1]["galleryId"]


async def test_a_gallery_of_another_site_is_not_there(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    gallery_id = str(uuid.uuid4())
    async with (
        compose(installation.settings(CommandSettings)),
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.replies) as replies,
    ):
        create = structured("CreateGallery", {"galleryId": gallery_id}, siteid="red")
        await producer.send_and_wait(topics.commands, create, key=gallery_id.encode())
        add = structured("CreateItems", {"galleryId": gallery_id, "items": [TEXT]}, siteid="blue")
        await producer.send_and_wait(topics.commands, add, key=gallery_id.encode())
        _, refused = await replies.read_count(2)
        assert body(refused)["outcome"] == "rejected"
        assert body(refused)["error"]["code"] == "NOT_FOUND"
