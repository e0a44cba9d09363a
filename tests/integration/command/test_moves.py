"""Moving items through the whole service results in the requested order."""

import os
import random
import time

import pytest

from tests.support.commands import body
from tests.support.kafka import Record
from tests.support.sender import Sender
from tests.support.write_model import audit

MOVES = int(os.environ.get("TRIPTYCH_TEST_MOVES", "1000"))
ITEMS = 200


@pytest.mark.timeout(120 + MOVES // 20)
async def test_random_moves_end_in_the_order_of_a_reference_list(sender: Sender) -> None:
    chance = random.Random(3)
    # One call creates them all, so their sort orders are consecutive milliseconds.
    gallery_id = await sender.gallery(ITEMS)
    order = await sender.item_ids(gallery_id)
    started = time.perf_counter()
    for number in range(MOVES):
        item_id, other = chance.sample(order, 2)
        where = chance.choice(["before", "after", "start", "end"])
        data = {"galleryId": gallery_id, "itemId": item_id}
        await sender.put(
            "MoveItem", {**data, **({"to": where} if where in ("start", "end") else {where: other})}, f"m{number}"
        )
        order.remove(item_id)
        match where:
            case "start":
                order.insert(0, item_id)
            case "end":
                order.append(item_id)
            case "before":
                order.insert(order.index(other), item_id)
            case "after":
                order.insert(order.index(other) + 1, item_id)
    await sender.producer.flush()

    def are_answered(records: list[Record]) -> bool:
        return len(records) >= MOVES + 2

    await sender.replies.read_until(are_answered, "all replies", deadline_seconds=60 + MOVES // 25)
    print(f"{MOVES / (time.perf_counter() - started):.0f} moves/s, sent and answered")
    replies = [body(reply) for reply in sender.replies.records]
    assert {reply["outcome"] for reply in replies} == {"accepted"}
    last = max(reply["sequence"] for reply in replies)
    assert await sender.item_ids(gallery_id) == order
    shown: dict[str, float] = {}
    for event in await sender.events_of(gallery_id, last):
        if item := next(iter(event.get("actionEvent", {}).get("body", {}).values()), None):
            shown[item["id"]] = item["sortOrder"]
    assert sorted(shown, key=lambda item_id: -shown[item_id]) == order
    await audit(sender.installation.database)
