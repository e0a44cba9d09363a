"""Moving items through the whole service results in the requested order."""

import os
import random
import time

import pytest

from tests.support.commands import TEXT, body
from tests.support.kafka import Record
from tests.support.profiling import profiled
from tests.support.sender import Sender
from tests.support.write_model import audit
from triptych.command.domain.order.moves import NEIGHBOURS_MAX
from triptych.command.store import item_sizes

MOVES = int(os.environ.get("TRIPTYCH_TEST_MOVES", "1000"))
ITEMS = 200
BLOCK_MAX = 40


@pytest.mark.timeout(120 + MOVES // 20)
async def test_random_moves_end_in_the_order_of_a_reference_list(sender: Sender) -> None:
    chance = random.Random(3)
    # One call creates them all, so their sort orders are consecutive milliseconds.
    gallery_id = await sender.gallery(ITEMS)
    order = await sender.item_ids(gallery_id)
    started = time.perf_counter()
    for number in range(MOVES):
        count = chance.randint(2, BLOCK_MAX) if number % 10 == 0 else 1
        other, *block = chance.sample(order, 1 + count)
        where = chance.choice(["before", "after", "start", "end"])
        target = {"to": where} if where in ("start", "end") else {where: other}
        if count == 1:
            await sender.put("MoveItem", {"galleryId": gallery_id, "itemId": block[0], **target}, f"m{number}")
        else:
            await sender.put("MoveItems", {"galleryId": gallery_id, "itemIds": block, **target}, f"m{number}")
        order = [item for item in order if item not in set(block)]
        position = {"start": 0, "end": len(order)}.get(where)
        if position is None:
            position = order.index(other) + (where == "after")
        order[position:position] = block
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


async def test_a_block_of_a_large_gallery_moves_without_reading_the_gallery(sender: Sender) -> None:
    gallery_id = await sender.gallery(1_500)
    order = await sender.item_ids(gallery_id)
    # The target is among the items that move, which must not use up the neighbours that are read.
    block, target = [*order[995:700:-5], *order[705:1_000:5][1::2]], order[851]
    block = list(dict.fromkeys(block))
    async with profiled(sender.installation.database) as operations:
        reply = await sender.send("MoveItems", {"galleryId": gallery_id, "itemIds": block, "after": target})
    assert reply["outcome"] == "accepted"
    assert 0 < len(reply["itemIds"]) <= len(block)
    others = [item for item in order if item not in set(block)]
    place = others.index(target) + 1
    assert await sender.item_ids(gallery_id) == [*others[:place], *block, *others[place:]]
    examined = [entry.get("docsExamined", 0) for entry in operations if entry["ns"].endswith(".items")]
    assert 0 < sum(examined) < 6 * len(block), examined
    await audit(sender.installation.database)


async def test_a_block_with_too_many_bytes_is_refused_without_loading_it(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery_id = await sender.gallery(4)
    order = await sender.item_ids(gallery_id)
    monkeypatch.setattr(item_sizes, "MOVED_BYTES_MAX", 600)
    monkeypatch.setattr(item_sizes, "_FROM_ITEMS", 2)
    move = {"galleryId": gallery_id, "itemIds": order[1:], "to": "start"}
    refused = await sender.send("MoveItems", move)
    assert refused["error"]["code"] == "INVALID_ARGUMENT"
    (violation,) = refused["error"]["violations"]
    assert (violation["field"], violation["violatedRule"]) == ("itemIds", "MAX_SIZE")
    assert await sender.item_ids(gallery_id) == order
    fewer = await sender.send("MoveItems", {**move, "itemIds": order[3:]})
    assert fewer["outcome"] == "accepted"
    assert await sender.item_ids(gallery_id) == [order[3], *order[:3]]


async def test_a_move_that_needs_the_whole_gallery_spaced_out_first_is_judged_by_the_sequence_at_which_it_came(
    sender: Sender,
) -> None:
    # Consecutive doubles: more neighbours than a move may spread leave no room.
    count = 2 * NEIGHBOURS_MAX + 100
    gallery_id = await sender.gallery(0)
    for first in range(0, count, 500):
        items = [{**TEXT, "sortOrder": 2.0**53 + 2 * number} for number in range(first, min(first + 500, count))]
        reply = await sender.send("CreateItems", {"galleryId": gallery_id, "items": items})
    order = await sender.item_ids(gallery_id)
    sequence = reply["sequence"]
    moves = [
        {"itemId": order[-1], "after": order[count // 2], "expectedSequence": sequence},
        {"itemId": order[0], "to": "end", "expectedSequences": [sequence, sequence + 1]},
    ]
    # The second one waits for the first one, which has changed the sequence when the second one is carried out.
    sent = [await sender.put("MoveItem", {"galleryId": gallery_id, **move}) for move in moves]
    moved, refused = [await sender.reply_to(command_id) for command_id in sent]
    assert moved["outcome"] == "accepted", moved
    assert moved["sequence"] > sequence + count // 2, "the gallery was not spaced out"
    assert refused["error"]["code"] == "SEQUENCE_CONFLICT"
    place = count // 2 + 1
    assert await sender.item_ids(gallery_id) == [*order[:place], order[-1], *order[place:-1]]
    await audit(sender.installation.database)
