"""The command service as on a sharded cluster: every command names its shard, and sort orders stay unique."""

import asyncio
import random
import uuid
from typing import Any

import pytest

from tests.support.batch_side import handling
from tests.support.command_mix import SITE, CommandMix
from tests.support.installation import Installation
from tests.support.sender import Sender, sending
from tests.support.shards import Router, assert_kept
from tests.support.write_model import audit
from triptych.command.app import compose
from triptych.command.domain import decide as decide_module
from triptych.command.settings import CommandSettings
from triptych.command.store import loader as loader_module
from triptych.kit.mongo.driver import Database

BATCHES = 6


async def _places(database: Database, collection: str, fields: tuple[str, str]) -> list[tuple[str, float]]:
    site, order = fields
    found: list[dict[str, Any]] = await database[collection].find({order: {"$exists": True}}).to_list(None)
    return sorted((_at(one, site), _at(one, order)) for one in found)


def _at(document: dict[str, Any], path: str) -> Any:
    for name in path.split("."):
        document = document[name]
    return document


async def _assert_reserved(database: Database) -> None:
    """Each gallery that takes a place has its reservation, and nothing else has one."""
    taken = await _places(database, "galleries", ("siteId", "sortOrder"))
    assert taken == await _places(database, "gallery_sort_orders", ("_id.siteId", "_id.sortOrder"))
    assert len(set(taken)) == len(taken) > 0


async def test_all_kinds_of_commands_keep_to_their_shards(
    router: Router, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Jobs on galleries of four items, in steps of two.
    for module in (decide_module, loader_module):
        monkeypatch.setattr(module, "DIRECT_ITEMS", 3)
    monkeypatch.setattr("triptych.command.flow.runner.STEP_ITEMS", 2)
    async with handling(installation, "shards") as side:
        for number in range(BATCHES):
            mix = CommandMix(random.Random(number), f"shards{number}")
            await side.handle(mix.batch(40))
            assert any(reply["outcome"] == "accepted" for replies in side.replies().values() for reply in replies)
        database = installation.database.client[f"{installation.name}-shards"]
        await _assert_reserved(database)
    assert router.checked > BATCHES * 5
    assert_kept(router)


async def test_of_galleries_that_ask_for_one_sort_order_at_once_one_gets_it(
    router: Router, installation: Installation
) -> None:
    async with sending(installation) as sender, compose(installation.settings(CommandSettings)):
        unique = (await installation.database["galleries"].index_information())["siteId_1_sortOrder_1"]
        assert "unique" not in unique  # so that nothing but the reservations can refuse
        for sort_order in (0.5, 1.5):
            assert await _accepted(sender, sort_order) == 1
        await _assert_reserved(installation.database)
        await audit(installation.database)
    assert_kept(router)


async def _accepted(sender: Sender, sort_order: float) -> int:
    gallery = {"sortOrder": sort_order}
    ids = await asyncio.gather(
        *(sender.put("CreateGallery", {"galleryId": str(uuid.uuid4()), "gallery": gallery}) for _ in range(6))
    )
    replies = [await sender.reply_to(command_id) for command_id in ids]
    assert {reply["error"]["code"] for reply in replies if reply["outcome"] == "rejected"} == {"ALREADY_EXISTS"}
    return sum(reply["outcome"] == "accepted" for reply in replies)


async def test_a_reservation_refuses_what_the_service_has_not_seen(router: Router, installation: Installation) -> None:
    """Another process may take the place between the look at the galleries and the write."""
    async with sending(installation) as sender, compose(installation.settings(CommandSettings)):
        place = {"_id": {"siteId": SITE, "sortOrder": 7.5}, "galleryId": "of another process"}
        await installation.database["gallery_sort_orders"].insert_one(place)
        wanted = {"galleryId": str(uuid.uuid4()), "gallery": {"sortOrder": 7.5}}
        reply = await sender.send("CreateGallery", wanted)
        # It conflicts in every attempt, since no gallery explains the reservation.
        assert (reply["outcome"], reply["error"]["code"]) == ("rejected", "INTERNAL")
        assert await installation.database["galleries"].find_one({"_id": wanted["galleryId"]}) is None
        await installation.database["gallery_sort_orders"].delete_one({"_id": place["_id"]})
        assert (await sender.send("CreateGallery", wanted))["outcome"] == "accepted"
    assert_kept(router)
