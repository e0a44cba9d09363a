"""Commands on large items are carried out in several transactions, each with a bounded number of bytes."""

import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import running_command_service
from tests.support.sender import Sender, sending
from tests.support.write_model import audit
from triptych.command.domain.state import TooManyBytes
from triptych.command.domain.unit_of_work import ReceivedCommand, ReceivedRecord
from triptych.command.flow import executor
from triptych.command.store import loader
from triptych.command.store.head_cache import HeadCache
from triptych.contract.codec.envelope import CommandEnvelope
from triptych.contract.commands import UpdateItem
from triptych.kit.process.clock import utc_now

COMMANDS = 40
ITEM_BYTES, LIMIT = 9_000, 100_000
SPARE = 1.2
"""An event has more bytes than its item."""


@pytest.fixture(autouse=True)
def _low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (loader, executor):
        monkeypatch.setattr(module, "TRANSACTION_BYTES", LIMIT)
    monkeypatch.setattr(loader, "FEW_ITEMS", 5)


async def large_gallery(sender: Sender, count: int) -> tuple[str, list[str]]:
    """A gallery of large items, and their ids."""
    gallery_id = await sender.gallery(0)
    large = {**TEXT, "description": "x" * ITEM_BYTES}
    sent = [await sender.put("CreateItems", {"galleryId": gallery_id, "items": [large]}) for _ in range(count)]
    for command_id in sent:
        assert (await sender.reply_to(command_id))["outcome"] == "accepted"
    return gallery_id, await sender.item_ids(gallery_id)


@pytest.mark.parametrize("items", [COMMANDS, 1], ids=["each another item", "all the same item"])
async def test_short_commands_on_large_items_share_a_transaction_up_to_its_bytes(
    installation: Installation, items: int
) -> None:
    async with sending(installation) as sender:
        async with running_command_service(installation):
            gallery_id, item_ids = await large_gallery(sender, items)
        before = await installation.database["outbox"].distinct("_id")
        sent = []
        for number in range(COMMANDS):
            change = {"itemId": item_ids[number % items], "item": {"title": f"changed by {number}"}}
            sent.append(await sender.put("UpdateItem", {"galleryId": gallery_id, **change}))
        await sender.producer.flush()  # before the service starts, so that they come in one batch
        async with running_command_service(installation):
            replies = [await sender.reply_to(command_id) for command_id in sent]
        assert {reply["outcome"] for reply in replies} == {"accepted"}
        assert sorted(reply["sequence"] for reply in replies) == [reply["sequence"] for reply in replies]
        rows = await installation.database["outbox"].find({"_id": {"$nin": before}}).to_list(None)
        sizes = [sum(len(event["value"]) for event in row["events"]) for row in rows]
        assert COMMANDS * ITEM_BYTES / LIMIT <= len(sizes) <= COMMANDS / 2
        assert max(sizes) <= SPARE * LIMIT + ITEM_BYTES
        await audit(installation.database)


async def test_commands_that_would_load_more_are_not_carried_out_together(sender: Sender) -> None:
    gallery_id, item_ids = await large_gallery(sender, COMMANDS)
    model = UpdateItem.model_validate({"galleryId": gallery_id, "itemId": item_ids[0], "item": {"title": "t"}})
    commands = [
        ReceivedCommand(
            0,
            gallery_id,
            CommandEnvelope(
                item_id, "default", "UpdateItem", model.model_copy(update={"item_id": item_id}), None, "", None
            ),
            ReceivedRecord("commands", 0, 0, None, b"", ()),
        )
        for item_id in item_ids
    ]
    loading = loader.Loader(sender.installation.database, HeadCache())
    with pytest.raises(TooManyBytes):
        await loading.load(commands, utc_now(), loader.LoadHints())
    fewer = commands[: LIMIT // ITEM_BYTES - 1]
    assert len((await loading.load(fewer, utc_now(), loader.LoadHints())).loaded_items) == len(fewer)
