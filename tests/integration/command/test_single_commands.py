"""A single command costs few queries, and its shortcuts never make it wrong."""

import asyncio

import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.profiling import profiled
from tests.support.sender import Sender, sending
from tests.support.shards import CLUSTER, MODE
from tests.support.waiting import eventually
from tests.support.write_model import audit, until_all_is_marked
from triptych.command.app import compose
from triptych.command.settings import CommandSettings
from triptych.kit.mongo.driver import Document, ReadConcern
from triptych.kit.startup import layouts

READS = ("query", "getmore")


def reads(operations: list[Document]) -> list[str]:
    """The names of the collections that were read for commands; the layout of the topics is read twice a second."""
    read = [entry for entry in operations if entry["op"] in READS or "aggregate" in entry.get("command", {})]
    return sorted(name for entry in read if (name := entry["ns"].partition(".")[2]) != layouts.COLLECTION)


@pytest.mark.skipif(MODE == CLUSTER, reason="a router has no profile of its shards")
async def test_a_written_gallery_costs_no_query_and_its_items_cost_one(sender: Sender) -> None:
    gallery_id = await sender.gallery(1)
    (item_id,) = await sender.item_ids(gallery_id)
    async with profiled(sender.installation.database) as operations:
        await sender.send("CreateItems", {"galleryId": gallery_id, "items": [TEXT]})
        await sender.send("UpdateItem", {"galleryId": gallery_id, "itemId": item_id, "item": {"title": "t"}})
        await sender.send("DeleteItems", {"galleryId": gallery_id, "itemIds": [item_id]})
    assert reads(operations) == ["items"] * 2
    await audit(sender.installation.database)


async def test_a_repeated_command_gets_its_first_reply_although_it_is_not_looked_up(sender: Sender) -> None:
    gallery_id = await sender.gallery(0)
    items = {"galleryId": gallery_id, "items": [TEXT]}
    first = await sender.send("CreateItems", items, "first")
    assert (await sender.send("CreateItems", items, "second"))["sequence"] == first["sequence"] + 1
    refused = await sender.send("CreateItems", {**items, "expectedSequence": 99}, "refused")
    assert refused["outcome"] == "rejected"
    sender.replies.records.clear()
    assert await sender.send("CreateItems", items, "first") == first
    assert await sender.send("CreateItems", {**items, "expectedSequence": 99}, "refused") == refused
    sender.replies.records.clear()
    other = await sender.send("CreateItems", {**items, "expectedSequence": 3}, "refused")
    assert other["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    (item_id, _) = await sender.item_ids(gallery_id)
    sender.replies.records.clear()
    delete = {"galleryId": gallery_id, "itemIds": [item_id]}
    deleted = await sender.send("DeleteItems", delete, "deleted")
    sender.replies.records.clear()
    assert await sender.send("DeleteItems", delete, "deleted") == deleted
    assert len(await sender.item_ids(gallery_id)) == 1
    await audit(sender.installation.database)


async def test_a_gallery_that_another_writer_has_changed_is_loaded_again(sender: Sender) -> None:
    gallery_id = await sender.gallery(0)
    galleries = sender.installation.database["galleries"]
    changed = await galleries.update_one({"_id": gallery_id}, {"$set": {"sequence": 7, "name": "changed"}})
    assert changed.modified_count == 1
    reply = await sender.send("CreateItems", {"galleryId": gallery_id, "items": [TEXT]})
    assert (reply["outcome"], reply["sequence"]) == ("accepted", 8)
    assert (await galleries.find_one({"_id": gallery_id}) or {})["name"] == "changed"


async def test_the_next_owner_finds_nothing_to_publish_again(installation: Installation) -> None:
    async with sending(installation) as sender:
        async with compose(installation.settings(CommandSettings)):
            gallery_id = await sender.gallery(0)
            await asyncio.gather(
                *(sender.send("CreateItems", {"galleryId": gallery_id, "items": [TEXT]}) for _ in range(5))
            )
        # Only a service that stops waits for its acknowledgements. They need no majority: the next owner waits for one
        # before it reads the outbox.
        outbox = installation.database["outbox"].with_options(read_concern=ReadConcern("local"))
        assert await outbox.count_documents({"pending": True}) == 0
        async with compose(installation.settings(CommandSettings)):
            await sender.send("CreateItems", {"galleryId": gallery_id, "items": [TEXT]})
            assert len(await sender.events_of(gallery_id, 7)) == 7
            await until_all_is_marked(installation.database)


async def test_rows_are_acknowledged_while_the_service_runs(sender: Sender) -> None:
    await sender.gallery(1)
    outbox = sender.installation.database["outbox"]

    async def are_marked() -> bool:
        return await outbox.count_documents({"publishedAt": {"$type": "date"}}) > 0

    await eventually(are_marked, "rows are acknowledged while the service runs", deadline_seconds=10)
    await until_all_is_marked(sender.installation.database)
