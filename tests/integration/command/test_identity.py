"""Two requests under one key, on real servers: at once, on two partitions, during jobs, and from earlier versions."""

import asyncio
import uuid
from datetime import UTC, datetime

import pytest

from tests.support.commands import TEXT, structured
from tests.support.early_jobs import DIRECT_ITEMS
from tests.support.installation import Installation
from tests.support.sender import Sender, sending
from triptych.command.app import compose
from triptych.command.settings import CommandSettings
from triptych.contract.replies import Reply

MANY = DIRECT_ITEMS + 10
REUSED = "IDEMPOTENCY_KEY_REUSED"


async def put(sender: Sender, name: str, gallery_id: str, correlation_id: str, source: str = "tests") -> None:
    """Publish a command with the id "same"."""
    value = structured(name, {"galleryId": gallery_id}, id="same", correlationid=correlation_id, source=source)
    await sender.producer.send(sender.installation.topics.commands, value, key=gallery_id.encode())


def outcome(reply: dict[str, object]) -> object:
    error = reply.get("error")
    return error["code"] if isinstance(error, dict) else reply["outcome"]


@pytest.mark.usefixtures("early_jobs")
async def test_long_work_under_one_key_in_two_galleries(sender: Sender) -> None:
    galleries = await asyncio.gather(*(sender.gallery(0) for _ in range(4)))
    items = [{**TEXT, "title": str(number)} for number in range(DIRECT_ITEMS // 2)]
    large = galleries[:2]
    for gallery_id in large:
        for part in (items, items, items[:10]):
            await sender.put("CreateItems", {"galleryId": gallery_id, "items": part})
        await sender.send("RepublishGallery", {"galleryId": gallery_id})
    for number, gallery_id in enumerate(large):
        await put(sender, "RebalanceItems", gallery_id, f"long-{number}")
    replies = [await sender.reply_to(f"long-{number}") for number in range(2)]
    assert sorted(map(outcome, replies), key=str) == [REUSED, "accepted"]
    done = large[[outcome(reply) for reply in replies].index("accepted")]
    # The same again, and other requests of any kind, once it has ended; and of another source.
    await put(sender, "RebalanceItems", done, "again")
    await put(sender, "ClearGallery", done, "other")
    await put(sender, "RebalanceItems", galleries[2], "short")
    await put(sender, "RebalanceItems", galleries[3], "another source", "elsewhere")
    accepted = next(reply for reply in replies if outcome(reply) == "accepted")
    assert await sender.reply_to("again") == accepted
    assert outcome(await sender.reply_to("other")) == REUSED
    assert outcome(await sender.reply_to("short")) == REUSED
    assert outcome(await sender.reply_to("another source")) == "accepted"
    await sender.until_no_work_is_left()
    assert await sender.installation.database["items"].count_documents({}) == 2 * MANY


async def test_one_key_in_many_galleries_at_once(sender: Sender) -> None:
    galleries = [str(uuid.uuid4()) for _ in range(20)]
    for number, gallery_id in enumerate(galleries):
        await put(sender, "CreateGallery", gallery_id, f"k-{number}")
    replies = [await sender.reply_to(f"k-{number}") for number in range(len(galleries))]
    assert sorted(map(outcome, replies), key=str) == [REUSED] * 19 + ["accepted"]
    assert await sender.installation.database["processed_commands"].count_documents({}) == 1


async def test_a_command_that_an_earlier_version_has_carried_out_is_not_repeated(installation: Installation) -> None:
    gallery_id = str(uuid.uuid4())
    first = Reply(command_id="same", outcome="accepted", gallery_id=gallery_id, sequence=7, item_ids=["i"])
    async with sending(installation) as sender:
        async with compose(installation.settings(CommandSettings)):
            await sender.send("CreateGallery", {"galleryId": gallery_id})
        processed = installation.database["processed_commands"]
        await processed.delete_many({})
        await processed.insert_one({"_id": "default/same", "reply": first.to_wire(), "at": datetime.now(UTC)})
        async with compose(installation.settings(CommandSettings)):
            # Twice: for the second, the gallery's head is in the cache.
            await sender.send("CreateItems", {"galleryId": gallery_id, "items": [TEXT]})
            for _ in range(2):
                reply = await sender.send("CreateItems", {"galleryId": gallery_id, "items": [TEXT]}, "same")
                assert reply == first.to_wire()
        assert await installation.database["items"].count_documents({}) == 1


@pytest.mark.usefixtures("early_jobs")
async def test_a_repetition_that_waits_for_its_own_job_gets_the_same_reply(sender: Sender) -> None:
    gallery_id = await sender.gallery(MANY)
    for number in range(3):
        await put(sender, "RepublishGallery", gallery_id, f"r-{number}")
    await put(sender, "DeleteGallery", gallery_id, "other")
    replies = [await sender.reply_to(f"r-{number}") for number in range(3)]
    assert replies[0]["outcome"] == "accepted"
    assert replies[1:] == replies[:1] * 2
    assert outcome(await sender.reply_to("other")) == REUSED
