"""A job that keeps failing is given up: its sender gets a reply, and its gallery is free again."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.commands import TEXT, body, header
from tests.support.early_jobs import DIRECT_ITEMS
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import topic_reader
from tests.support.sender import Sender, sending
from tests.support.waiting import eventually
from tests.support.write_model import audit
from triptych.command.app import compose
from triptych.command.settings import CommandSettings

pytestmark = pytest.mark.usefixtures("early_jobs")

MANY = DIRECT_ITEMS + 10
SOON = timedelta(seconds=0.4)


@asynccontextmanager
async def service(installation: Installation, patience: timedelta = SOON) -> AsyncIterator[Sender]:
    settings = installation.settings(CommandSettings, command_job_patience=patience)
    async with sending(installation) as made, compose(settings):
        yield made


async def _break_an_item(sender: Sender, gallery_id: str, **fields: Any) -> None:
    items = sender.installation.database["items"]
    await items.update_one({"_id": (await sender.item_ids(gallery_id))[MANY // 2]}, fields)


async def _is_given_up(sender: Sender, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """Check that a command ends as a dead letter with a reply; gives the reply to a later command of its gallery."""
    gallery_id = data["galleryId"]
    topics, bootstrap = sender.installation.topics, sender.installation.addresses.kafka_bootstrap
    asked = await sender.put(name, data)
    later = await sender.put("CreateItems", {"galleryId": gallery_id, "items": [{**TEXT, "title": "later"}]})
    for _ in range(2):
        reply = await sender.reply_to(asked)
        assert (reply["outcome"], reply["error"]["code"], reply["galleryId"]) == ("rejected", "INTERNAL", gallery_id)
    async with topic_reader(bootstrap, topics.dead_letter(topics.commands)) as letters:
        records = await letters.read_until(
            lambda found: any(body(one)["id"] == asked for one in found), "the dead letter"
        )
    letter = next(one for one in records if body(one)["id"] == asked)
    assert body(letter)["data"] == data
    assert header(letter, "dead-letter-reason") == "handler-failed"
    reply = await sender.reply_to(later)
    await sender.until_no_work_is_left()
    # The same command again gets its stored outcome, and no job begins.
    assert (await sender.send(name, data, asked))["error"]["code"] == "INTERNAL"
    return reply


async def test_a_step_that_cannot_be_done_ends_with_an_answer(installation: Installation) -> None:
    async with service(installation) as sender:
        gallery_id, other = await sender.gallery(MANY), await sender.gallery(MANY)
        await _break_an_item(sender, gallery_id, **{"$set": {"item": 5}})
        reply = await _is_given_up(sender, "RebalanceItems", {"galleryId": gallery_id})
        assert reply["outcome"] == "accepted"
        # A command that needs no content of items still succeeds.
        assert (await sender.send("ClearGallery", {"galleryId": gallery_id}))["outcome"] == "accepted"
        assert (await sender.send("RebalanceItems", {"galleryId": other}))["outcome"] == "accepted"
    await audit(installation.database)


async def test_a_deletion_that_cannot_be_done_leaves_the_remaining_items(
    installation: Installation,
) -> None:
    async with service(installation) as sender:
        gallery_id = await sender.gallery(MANY)
        await _break_an_item(sender, gallery_id, **{"$unset": {"siteId": ""}})
        reply = await _is_given_up(sender, "DeleteGallery", {"galleryId": gallery_id})
        assert reply["outcome"] == "accepted"
        head = await installation.database["galleries"].find_one({"_id": gallery_id})
        assert head is not None
        assert (head["status"], head["job"]) == ("live", None)
        assert type(head["sortOrder"]) is float
        await installation.database["items"].update_many({}, {"$set": {"siteId": "default"}})
        assert (await sender.send("DeleteGallery", {"galleryId": gallery_id}))["outcome"] == "accepted"
    await audit(installation.database)


async def test_a_clone_that_fails_is_deleted(installation: Installation) -> None:
    database = installation.database
    async with service(installation) as sender:
        source, clone = await sender.gallery(MANY), str(uuid.uuid4())
        # Staging accepts any object; a later step, which copies an item without a medium, fails.
        await _break_an_item(sender, source, **{"$rename": {"item.text": "item.txt"}})
        reply = await _is_given_up(
            sender, "CreateGallery", {"galleryId": clone, "cloneFromGalleryId": source, "gallery": {"sortOrder": 5}}
        )
        assert reply["error"]["code"] == "NOT_FOUND"
        head = await database["galleries"].find_one({"_id": clone})
        assert head is not None
        assert (head["status"], head["job"], head["totalItems"]) == ("deleted", None, 0)
        assert head["sequence"] > 2
        assert await database["items"].count_documents({"galleryId": clone}) == 0
        assert "deletedEvent" in (await sender.events_of(clone, head["sequence"]))[-1]
        # Its sort order is free.
        assert (await sender.send("CreateGallery", {"gallery": {"sortOrder": 5}}))["outcome"] == "accepted"
    await database["items"].update_many({"item.txt": {"$exists": True}}, {"$rename": {"item.txt": "item.text"}})
    await audit(database)


async def test_unreadable_documents_do_not_stop_other_work(installation: Installation) -> None:
    database = installation.database
    async with service(installation, timedelta(hours=1)) as sender:
        gallery_id = await sender.gallery(MANY)
        await _break_an_item(sender, gallery_id, **{"$set": {"item": 5}})
        asked = await sender.put("RebalanceItems", {"galleryId": gallery_id})
        later = await sender.put("UpdateGallery", {"galleryId": gallery_id, "gallery": {"name": "N"}})
        lost = await sender.put("UpdateGallery", {"galleryId": gallery_id, "gallery": {"name": "M"}})
        last = await sender.put("UpdateGallery", {"galleryId": gallery_id, "gallery": {"name": "O"}})
        await sender.producer.flush()

        async def has_failed_and_all_are_parked() -> bool:
            job = await database["jobs"].find_one({"failures": {"$gt": 0}})
            return job is not None and await database["parked_commands"].count_documents({}) == 4

        await eventually(has_failed_and_all_are_parked, "the job fails and the others wait")
    # Values that a person or another version of the service might have written.
    broken: dict[str, Any] = {
        "kind": "fold",
        "state": None,
        "again": "",
        "record": {},
        "startedAt": datetime(2020, 1, 1, tzinfo=UTC),
    }
    await database["jobs"].update_one({"galleryId": gallery_id}, {"$set": broken})
    await database["jobs"].insert_many([{"_id": f"s/{number}", "partition": number} for number in range(PARTITIONS)])
    parked = await database["parked_commands"].find({}).sort([("epoch", 1), ("number", 1)]).to_list(None)
    await database["parked_commands"].update_one({"_id": parked[2]["_id"]}, {"$set": {"record.value": b"{"}})
    await database["parked_commands"].insert_one(
        {"_id": "p", "galleryId": gallery_id, "partition": parked[0]["partition"], "epoch": 0, "number": 0}
    )
    async with service(installation) as sender:
        other = await sender.gallery(MANY)
        assert (await sender.send("ClearGallery", {"galleryId": other}))["outcome"] == "accepted"
        assert (await sender.reply_to(asked))["error"]["code"] == "INTERNAL"
        for command_id in (later, last):
            assert (await sender.reply_to(command_id))["outcome"] == "accepted"
        topics, bootstrap = installation.topics, installation.addresses.kafka_bootstrap
        async with topic_reader(bootstrap, topics.dead_letter(topics.commands)) as letters:
            values = {letter.value for letter in await letters.read_count(2)}
        assert b"{" in values

        async def is_quiet() -> bool:
            return not await database["jobs"].count_documents({})

        await eventually(is_quiet, "no job is left")
        assert lost not in {body(reply)["commandId"] for reply in sender.replies.records}
        assert [one["_id"] async for one in database["parked_commands"].find({})] == ["p"]


async def test_failures_are_counted_across_restarts(installation: Installation) -> None:
    jobs = installation.database["jobs"]
    async with service(installation, timedelta(hours=1)) as sender:
        gallery_id = await sender.gallery(MANY)
        await _break_an_item(sender, gallery_id, **{"$set": {"item": 5}})
        asked = await sender.put("RebalanceItems", {"galleryId": gallery_id})
        await sender.producer.flush()

        async def has_failed() -> bool:
            return await jobs.find_one({"failures": {"$gt": 0}}) is not None

        await eventually(has_failed, "a failure is counted")
    await jobs.update_one({}, [{"$set": {"failures": 5, "failingSince": {"$subtract": ["$failingSince", 3_600_000]}}}])
    async with service(installation, timedelta(hours=1)) as sender:
        assert (await sender.reply_to(asked))["error"]["code"] == "INTERNAL"


async def test_commands_with_headers_without_values_can_be_parked(installation: Installation) -> None:
    async with service(installation) as sender:
        gallery_id = await sender.gallery(MANY)
        headers = [("nothing", None), ("", b""), ("größe", b"\xff")]
        asked = await sender.put("ClearGallery", {"galleryId": gallery_id}, headers=headers)
        later = await sender.put("CreateItems", {"galleryId": gallery_id, "items": [TEXT]}, headers=headers)
        assert (await sender.reply_to(asked))["outcome"] == "accepted"
        assert (await sender.reply_to(later))["outcome"] == "accepted"
