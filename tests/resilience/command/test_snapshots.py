"""Snapshots of large galleries, which take many steps, are right while command services start, stop and are killed.

`TRIPTYCH_TEST_ROUNDS` makes the test longer: each round starts and ends a service.
"""

import asyncio
import itertools
import os
import random
import signal
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.commands import TEXT
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Record, members_leave
from tests.support.processes import service_process
from tests.support.product import running_command_service
from tests.support.sender import Sender, galleries_on, sending
from tests.support.waiting import eventually
from triptych.client import SnapshotAssembler
from triptych.contract.codec.events import EventType, decode_event

ROUNDS = int(os.environ.get("TRIPTYCH_TEST_ROUNDS", "2"))
ITEMS = 1_500
STEPS_MAX = 4
"""About half of the steps of one snapshot."""


@pytest.mark.timeout(90 + 15 * ROUNDS)
async def test_every_snapshot_is_the_gallery_at_its_sequence(installation: Installation, tmp_path: Path) -> None:
    stop, chance = asyncio.Event(), random.Random(7)
    async with sending(installation) as sender, running_command_service(installation):
        # Each partition has work, so every instance gets some.
        galleries = [await sender.gallery(ITEMS, gallery_id=found) for found in galleries_on(*range(PARTITIONS))]
        working = [asyncio.create_task(_work(sender, gallery_id, stop)) for gallery_id in galleries]
        for number in range(ROUNDS):
            former = await _epochs(installation)
            with service_process(installation, "triptych.command", tmp_path) as child:
                at_work = partial(_are_at_work, installation, former, steps=chance.randint(1, STEPS_MAX))
                await eventually(at_work, "each of two instances has done some steps", deadline_seconds=40)
                if number % 2:
                    os.kill(child.pid, signal.SIGKILL)
                    await asyncio.to_thread(child.stop, 5)
                    await members_leave(installation.addresses.kafka_bootstrap, f"{installation.name}.command.v1")
        stop.set()
        asked = list(itertools.chain.from_iterable(await asyncio.gather(*working)))
        for command_id in asked:
            await sender.reply_to(command_id, deadline_seconds=60)
        await sender.until_no_work_is_left()
        end = str(uuid.uuid4())
        await sender.send("CreateGallery", {"galleryId": end})
        count = 0

        def are_complete(records: list[Record]) -> bool:
            nonlocal count
            count = _check(records)
            return count >= len(asked)

        await sender.events.read_until(are_complete, f"{len(asked)} complete snapshots", deadline_seconds=30)
        assert count == len(asked)


async def _work(sender: Sender, gallery_id: str, stop: asyncio.Event) -> list[str]:
    """Change and republish a gallery, without waiting for replies to changes; gives the ids of republish commands."""
    asked: list[str] = []
    for number in itertools.count():
        if stop.is_set():
            return asked
        await sender.put("CreateItems", {"galleryId": gallery_id, "items": [TEXT] * 2})
        asked.append(await sender.put("RepublishGallery", {"galleryId": gallery_id}))
        await sender.put("DeleteItems", {"galleryId": gallery_id, "itemIds": [str(uuid.uuid4())]})
        await sender.put("CreateItems", {"galleryId": gallery_id, "items": [{**TEXT, "title": str(number)}]})
        if number % 4 == 3:
            await sender.put("RebalanceItems", {"galleryId": gallery_id})
        await sender.reply_to(asked[-1], deadline_seconds=60)
    return asked


async def _claims(installation: Installation) -> list[dict[str, Any]]:
    found = installation.database["galleries"].find({"_id.partition": {"$exists": True}})
    claims: list[dict[str, Any]] = await found.sort("_id.partition").to_list(None)
    return claims


async def _epochs(installation: Installation) -> list[int]:
    return [claim["epoch"] for claim in await _claims(installation)]


async def _are_at_work(installation: Installation, former: list[int], steps: int) -> bool:
    """Whether two instances own partitions since the `former` epochs, and have done that many steps on each."""
    claims = await _claims(installation)
    are_new = all(claim["epoch"] > epoch for claim, epoch in zip(claims, former, strict=True))
    if not are_new or len({claim["token"] for claim in claims}) < 2:
        return False
    outbox = installation.database["outbox"]
    rows = [{"partition": claim["_id"]["partition"], "epoch": claim["epoch"]} for claim in claims]
    return min([await outbox.count_documents(row) for row in rows]) >= steps


def _check(records: list[Record]) -> int:
    """The number of complete snapshots; each must equal the state that the events before it have made."""
    states: dict[str, dict[str, Any]] = {}
    reached: dict[str, int] = {}
    snapshots, complete = SnapshotAssembler(), 0
    for record in records:
        if "part" in (content := orjson.loads(record.value)):
            found = snapshots.feed(record.value)
            if found is not None:
                complete += 1
                gallery_id = content["galleryId"]
                assert found.sequence == reached[gallery_id]
                items = sorted(states[gallery_id].values(), key=lambda item: -float(item["sortOrder"]))
                assert found.gallery["totalItems"] == len(items)
                assert found.gallery["items"] == items
            continue
        event = decode_event(record.value)
        if event.sequence != reached.get(event.gallery_id, 0) + 1:
            continue  # a repeat
        reached[event.gallery_id] = event.sequence
        items_now = states.setdefault(event.gallery_id, {})
        if event.event_type in (EventType.ITEM_CREATED, EventType.ITEM_UPDATED):
            items_now[event.item_id or ""] = event.body
        elif event.event_type is EventType.ITEM_DELETED:
            items_now.pop(event.item_id or "")
    return complete
