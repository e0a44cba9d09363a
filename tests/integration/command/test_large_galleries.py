"""Jobs on galleries that are too large for one transaction are complete and ordered, and delay nobody."""

import random

import pytest

from tests.support.commands import TEXT, body
from tests.support.early_jobs import DIRECT_ITEMS
from tests.support.kafka import Record
from tests.support.sender import Sender
from tests.support.write_model import audit
from triptych.command.domain import decide

MANY = 2 * DIRECT_ITEMS + 30
UNSCALED = 2 * decide.DIRECT_ITEMS + 300

early_jobs = pytest.mark.usefixtures("early_jobs")


async def test_a_clone_has_everything_in_order_and_later_commands_wait_for_it(sender: Sender) -> None:
    source = await sender.gallery(UNSCALED, name="Source")
    clone_id = await sender.put("CreateGallery", {"cloneFromGalleryId": source, "gallery": {"sortOrder": 5}}, "clone")
    cloned = await sender.reply_to(clone_id)
    assert (cloned["outcome"], cloned["sequence"]) == ("accepted", 1 + UNSCALED)
    target = cloned["galleryId"]
    assert await sender.titles(target) == [str(number) for number in range(UNSCALED)]
    events = await sender.events_of(target, 1 + UNSCALED)
    assert events[0]["createdEvent"]["entity"]["totalItems"] == UNSCALED
    assert events[0]["createdEvent"]["entity"]["name"] == "Source"
    assert len({event["actionEvent"]["body"]["item"]["id"] for event in events[1:]}) == UNSCALED
    again = await sender.send("CreateGallery", {"cloneFromGalleryId": source, "gallery": {"sortOrder": 5}}, "clone")
    assert again == cloned
    await sender.until_no_work_is_left()  # what is staged is deleted after the reply
    assert await sender.installation.database["staged_items"].count_documents({}) == 0


@early_jobs
async def test_commands_sent_during_a_job_are_carried_out_after_it_in_order(sender: Sender) -> None:
    gallery_id = await sender.gallery(MANY)
    sequence = 1 + MANY
    cleared = await sender.put("ClearGallery", {"galleryId": gallery_id})
    later = [
        await sender.put("CreateItems", {"galleryId": gallery_id, "items": [{**TEXT, "title": title}]})
        for title in ("a", "b", "c")
    ]
    repeated = await sender.put("ClearGallery", {"galleryId": gallery_id}, cleared)
    other = await sender.send("CreateGallery", {})
    assert other["outcome"] == "accepted"
    reply = await sender.reply_to(cleared)
    assert (reply["outcome"], reply["sequence"]) == ("accepted", sequence + MANY)
    replies = [await sender.reply_to(command_id) for command_id in later]
    assert [reply["sequence"] for reply in replies] == [sequence + MANY + 1 + number for number in range(3)]
    assert await sender.titles(gallery_id) == ["c", "b", "a"]
    await sender.events_of(gallery_id, sequence + MANY + 3)

    def answered_twice(records: list[Record]) -> bool:
        return [record.key for record in records].count(repeated.encode()) == 2

    await sender.replies.read_until(answered_twice, "the repeated command is answered as well")
    await sender.until_no_work_is_left()


@early_jobs
async def test_a_command_that_waits_for_a_job_may_be_about_all_remaining_items(sender: Sender) -> None:
    gallery_id = await sender.gallery(MANY)
    sent = [await sender.put(name, {"galleryId": gallery_id}) for name in ("ClearGallery", "DeleteGallery")]
    replies = [await sender.reply_to(command_id) for command_id in sent]
    assert [reply["sequence"] for reply in replies] == [1 + 2 * MANY, 2 + 2 * MANY]
    await sender.until_no_work_is_left()


@early_jobs
async def test_deleting_ends_with_the_gallery_and_no_command_finds_it_afterwards(sender: Sender) -> None:
    gallery_id = await sender.gallery(MANY)
    deleted = await sender.put("DeleteGallery", {"galleryId": gallery_id})
    too_late = await sender.put("CreateItems", {"galleryId": gallery_id, "items": [TEXT]})
    last = 1 + MANY + MANY + 1
    assert (await sender.reply_to(deleted))["sequence"] == last
    assert (await sender.reply_to(too_late))["error"]["code"] == "NOT_FOUND"
    assert (await sender.send("CreateGallery", {"galleryId": gallery_id}))["error"]["code"] == "ALREADY_EXISTS"
    events = await sender.events_of(gallery_id, last)
    assert {event["originatedFrom"] for event in events[1 + MANY : -1]} == {"Gallery Deleted"}
    assert events[-1]["deletedEvent"] == {}
    assert await sender.titles(gallery_id) == []


@early_jobs
async def test_rebalancing_keeps_the_order_after_every_step(sender: Sender) -> None:
    gallery_id = await sender.gallery(MANY)
    reply = await sender.send("RebalanceItems", {"galleryId": gallery_id})
    assert reply["sequence"] == 1 + 2 * MANY
    assert await sender.titles(gallery_id) == [str(number) for number in range(MANY)]
    sort_orders: dict[str, float] = {}
    for event in await sender.events_of(gallery_id, 1 + MANY):
        if item := event.get("actionEvent", {}).get("body", {}).get("item"):
            sort_orders[item["title"]] = item["sortOrder"]
    for number, event in enumerate((await sender.events_of(gallery_id, 1 + 2 * MANY))[1 + MANY :]):
        item = event["actionEvent"]["body"]["updatedItem"]
        sort_orders[item["title"]] = item["sortOrder"]
        if number % 40 == 0:
            assert sorted(sort_orders, key=lambda title: -sort_orders[title]) == [str(title) for title in range(MANY)]
    added = await sender.send("CreateItems", {"galleryId": gallery_id, "items": [{**TEXT, "title": "new"}]})
    assert added["outcome"] == "accepted"
    assert (await sender.titles(gallery_id))[0] == "new"


@early_jobs
async def test_republishing_publishes_an_uninterrupted_snapshot(sender: Sender) -> None:
    gallery_id = await sender.gallery(MANY)
    asked = await sender.put("RepublishGallery", {"galleryId": gallery_id})
    added = await sender.put("CreateItems", {"galleryId": gallery_id, "items": [TEXT]})
    assert (await sender.reply_to(asked))["sequence"] == 1 + MANY
    assert (await sender.reply_to(added))["sequence"] == 2 + MANY
    await sender.events_of(gallery_id, 2 + MANY)
    records = [body(record) for record in sender.events.records if record.key == gallery_id.encode()]
    start = next(index for index, record in enumerate(records) if record.get("part") == "Started")
    snapshot = records[start : start + MANY + 2]
    assert [record.get("part") for record in snapshot] == ["Started", *["Item"] * MANY, "Ended"]
    assert [record["item"]["title"] for record in snapshot[1:-1]] == [str(number) for number in range(MANY)]
    assert {record["sequence"] for record in snapshot} == {1 + MANY}
    assert records[start + MANY + 2]["entityEventSequence"] == str(2 + MANY)


async def test_few_items_of_many_bytes_become_a_job_too(sender: Sender) -> None:
    chance = random.Random(1)
    gallery_id = await sender.gallery(0)
    sent = [
        await sender.put(
            "CreateItems",
            {
                "galleryId": gallery_id,
                "items": [{"text": {"html": chance.randbytes(49_000).hex()}, "title": str(number)} for _ in range(10)],
            },
        )
        for number in range(9)
    ]
    replies = [await sender.reply_to(command_id) for command_id in sent]
    assert {reply["outcome"] for reply in replies} == {"accepted"}
    reply = await sender.send("CreateGallery", {"cloneFromGalleryId": gallery_id})
    # The reply to a command that became a job names no items.
    assert "itemIds" not in reply
    assert (reply["outcome"], reply["sequence"]) == ("accepted", 91)
    assert await sender.titles(reply["galleryId"]) == await sender.titles(gallery_id)
    assert (await sender.send("RebalanceItems", {"galleryId": gallery_id}))["sequence"] == 1 + 90 + 90
    assert (await sender.send("DeleteGallery", {"galleryId": gallery_id}))["sequence"] == 1 + 90 + 90 + 91
    await audit(sender.installation.database)
