"""A commit whose outcome is unknown is neither answered nor dead-lettered before its outcome is looked up."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from tests.support.commands import TEXT
from tests.support.failing_mongo import FailingMongo
from tests.support.installation import Installation
from tests.support.kafka import topic_reader
from tests.support.sender import Sender, sending
from tests.support.waiting import eventually
from triptych.command.app import compose
from triptych.command.settings import CommandSettings
from triptych.devstack.addresses import Addresses

BOTH = ["commitTransaction", "abortTransaction"]


@pytest.fixture(scope="module")
def stack(stack: Addresses, failing_mongo: FailingMongo) -> Addresses:
    """The Kafka of the other tests, and a MongoDB that fails on request."""
    return Addresses(stack.kafka_bootstrap, failing_mongo.uri, stack.provider)


@pytest.fixture
async def service(installation: Installation) -> AsyncIterator[Starlette]:
    async with compose(installation.settings(CommandSettings)) as app:
        yield app


@pytest.fixture
async def sender(installation: Installation, service: Starlette) -> AsyncIterator[Sender]:
    async with sending(installation) as made:
        yield made


async def is_unready(service: Starlette) -> bool:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://service") as client:
        return (await client.get("/health/ready")).status_code == 503


async def check(sender: Sender, gallery_id: str, command_id: str) -> None:
    """Check that a command was accepted, had its effect once, and left no dead letter."""
    reply = await sender.reply_to(command_id, deadline_seconds=15)
    assert (reply["outcome"], reply.get("sequence")) == ("accepted", 2)
    assert await sender.titles(gallery_id) == ["one"]
    assert [event["entityEventSequence"] for event in await sender.events_of(gallery_id, 2)] == ["1", "2"]
    topics = sender.installation.topics
    bootstrap = sender.installation.addresses.kafka_bootstrap
    async with topic_reader(bootstrap, topics.dead_letter(topics.commands)) as letters:
        ends = await letters._consumer.end_offsets(list(letters._consumer.assignment()))
    assert ends
    assert not any(ends.values())


INTERRUPTED = {"code": 11601, "codeName": "Interrupted", "errmsg": "operation was interrupted"}


@pytest.mark.parametrize("how", [{"errorCode": 11601}, {"writeConcernError": INTERRUPTED}], ids=["undone", "committed"])
async def test_a_commit_that_is_interrupted_again_and_again_is_looked_up(
    sender: Sender, failing_mongo: FailingMongo, how: dict[str, Any]
) -> None:
    gallery_id = await sender.gallery(0)
    async with failing_mongo.failing(["commitTransaction"], times=5, **how):
        command_id = await sender.put("CreateItems", {"galleryId": gallery_id, "items": [{**TEXT, "title": "one"}]})
        await check(sender, gallery_id, command_id)


@pytest.mark.parametrize(
    ("command", "code"), [("commitTransaction", 11601), ("update", 11601), ("insert", 290), ("aggregate", 237)]
)
async def test_of_two_creations_of_one_gallery_the_first_is_accepted_whatever_is_interrupted(
    sender: Sender, failing_mongo: FailingMongo, command: str, code: int
) -> None:
    await sender.gallery(0)
    gallery_id = str(uuid.uuid4())
    async with failing_mongo.failing([command], times=2, errorCode=code):
        first = await sender.put("CreateGallery", {"galleryId": gallery_id, "gallery": {"name": "first"}})
        second = await sender.put("CreateGallery", {"galleryId": gallery_id, "gallery": {"name": "second"}})
        assert (await sender.reply_to(first))["outcome"] == "accepted"
        refused = await sender.reply_to(second)
    assert (refused["outcome"], refused["error"]["code"]) == ("rejected", "ALREADY_EXISTS")


async def test_a_commit_that_never_arrived_stops_nobody_once_the_server_is_back(
    sender: Sender, service: Starlette, failing_mongo: FailingMongo
) -> None:
    gallery_id = await sender.gallery(0)
    async with failing_mongo.failing(BOTH, closeConnection=True):
        command_id = await sender.put("CreateItems", {"galleryId": gallery_id, "items": [{**TEXT, "title": "one"}]})
        await sender.producer.flush()
        await eventually(lambda: is_unready(service), "the service is unready")
    await sender.reply_to(command_id, deadline_seconds=5)
    await check(sender, gallery_id, command_id)
