"""Commands in one batch have the same results as alone: no command harms its neighbours."""

import os
import random
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.support.batch_side import handling
from tests.support.command_mix import CommandMix, Sent
from tests.support.commands import TEXT, structured
from tests.support.installation import PARTITIONS, Installation
from triptych.command.app import LANES
from triptych.command.domain import decide as decide_module
from triptych.command.store import loader as loader_module
from triptych.command.store.repository import WriteModelRepository
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord

ON_ITEMS = ("CreateItems", "UpdateItem", "MoveItem", "MoveItems", "DeleteItems")
LISTS = int(os.environ.get("TRIPTYCH_TEST_LISTS", "3"))


@pytest.mark.timeout(600 + LISTS)
@pytest.mark.parametrize("are_jobs_common", [False, True])
async def test_a_batch_ends_as_if_each_command_had_come_alone(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, are_jobs_common: bool
) -> None:
    if are_jobs_common:
        # Jobs on galleries of four items, in steps of two.
        for module in (decide_module, loader_module):
            monkeypatch.setattr(module, "DIRECT_ITEMS", 3)
        monkeypatch.setattr("triptych.command.flow.runner.STEP_ITEMS", 2)
    async with handling(installation, "batch") as together, handling(installation, "single") as apart:
        for number in range(LISTS):
            chance = random.Random(number)
            mix = CommandMix(chance, f"list{number}-{are_jobs_common}")
            if are_jobs_common:
                # A clone copies its source at some moment after the command: in a batch, perhaps a later one.
                mix.weights["CloneGallery"] = 0
            sent = mix.batch(chance.randint(2, 40))
            galleries = {one.gallery_id for one in sent}
            await together.handle(sent)
            for one in sent:
                await apart.handle([one])
            expected = apart.replies()
            assert together.replies() == expected, f"list {number}"
            assert await together.state(galleries) == await apart.state(galleries), f"list {number}"
            assert expected or all(one.value.startswith((b"\xff", b'{"specversion":')) for one in sent)


# Batches are split from two commands on.
FINE_LANES = replace(LANES, from_records=2)


@pytest.mark.timeout(300 + LISTS)
async def test_lanes_of_a_batch_end_as_if_each_command_had_come_alone(installation: Installation) -> None:
    async with handling(installation, "batch") as together, handling(installation, "single") as apart:
        together.lanes = FINE_LANES
        for number in range(LISTS):
            chance = random.Random(number)
            mix = CommandMix(chance, f"lanes{number}", gallery_count=6, trouble=0.05)
            mix.weights = {name: mix.weights[name] for name in ON_ITEMS}
            # The first commands create the galleries, and their batches are not split.
            for sent in (mix.batch(20), mix.batch(chance.randint(2, 40))):
                await together.handle([one.as_binary() for one in sent])
                for one in sent:
                    await apart.handle([one])
                assert together.replies() == apart.replies(), f"list {number}"
            galleries = set(mix.galleries)
            assert await together.state(galleries) == await apart.state(galleries), f"list {number}"
    assert together.most_lanes > 1


async def test_when_one_lane_cannot_be_published_the_events_of_both_come_in_order(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, *others = (str(uuid.UUID(int=number, version=4)) for number in range(1, 20))
    partitions = {name: partition_of(name.encode(), PARTITIONS) for name in (one, *others)}
    other = next(name for name in others if partitions[name] != partitions[one])
    created = [Sent(name, name, structured("CreateGallery", {"galleryId": name}, id=name)) for name in (one, other)]
    sent = [
        Sent(
            name, command_id, structured("CreateItems", {"galleryId": name, "items": [TEXT]}, id=command_id)
        ).as_binary()
        for name in (one, other)
        for command_id in (f"{name}-a", f"{name}-b", f"{name}-c")
    ]
    async with handling(installation, "lanes") as side:
        await side.handle(created)
        side.lanes = FINE_LANES
        publish = side.publisher.publish

        async def failing_once(records: Sequence[OutgoingRecord]) -> None:
            if any(record.key == one.encode() for record in records):
                monkeypatch.undo()
                raise TransientFailure("as if Kafka were away")
            await publish(records)

        monkeypatch.setattr(side.publisher, "publish", failing_once)
        with pytest.raises(TransientFailure):
            await side.handle(sent)
        await side.handle(sent)
        assert side.most_lanes == 2
        sequences: dict[str, list[int]] = {one: [], other: []}
        for record in side.publisher.published:
            if record.topic == installation.topics.events:
                event = orjson.loads(record.value or b"")
                sequences[event["entityId"]].append(int(event["entityEventSequence"]))
        assert [list(dict.fromkeys(found)) for found in sequences.values()] == [[1, 2, 3, 4]] * 2
        replies = side.replies()
        assert {replies[command.command_id][-1]["outcome"] for command in sent} == {"accepted"}


async def test_a_batch_that_comes_again_is_recognised_after_one_refused_transaction(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery_id = str(uuid.uuid4())
    data = {"galleryId": gallery_id}
    create = Sent(gallery_id, "create", structured("CreateGallery", data, id="create"))
    sent = [
        Sent(gallery_id, f"c{number}", structured("CreateItems", {**data, "items": [TEXT]}, id=f"c{number}"))
        for number in range(20)
    ]
    saves = 0
    save = WriteModelRepository.save

    async def counting(*args: Any) -> Any:
        nonlocal saves
        saves += 1
        return await save(*args)

    async with handling(installation, "batch") as side:
        await side.handle([create])
        await side.handle(sent)
        first = side.replies()
        monkeypatch.setattr(WriteModelRepository, "save", counting)
        await side.handle(sent)
        repeated = side.replies()
        assert {name: first[name] for name in repeated} == repeated
        assert len(repeated) == len(sent)
        assert saves == 2
        state = await side.state({gallery_id})
        assert (state[gallery_id]["sequence"], state[gallery_id]["totalItems"]) == (21, 20)


async def test_a_job_begins_although_the_batch_that_asked_for_it_failed_at_first(
    installation: Installation,
) -> None:
    gallery_id = str(uuid.uuid4())
    data = {"galleryId": gallery_id}
    growing: list[tuple[str, dict[str, Any]]] = [("CreateGallery", data)]
    growing += [("CreateItems", {**data, "items": [TEXT] * count}) for count in (500, 500, 1)]

    def sent(commands: list[tuple[str, dict[str, Any]]]) -> list[Sent]:
        ids = [f"{name}-{number}" for number, (name, _) in enumerate(commands)]
        return [
            Sent(gallery_id, command_id, structured(name, content, id=command_id))
            for command_id, (name, content) in zip(ids, commands, strict=True)
        ]

    async with handling(installation, "single") as side:
        await side.handle(sent(growing))
        side.publisher.is_failing = True
        with pytest.raises(TransientFailure):
            await side.handle(sent([("ClearGallery", data)]))
        side.publisher.is_failing = False
        await side.handle(sent([("ClearGallery", data)]))
        (reply, *_) = side.replies()["ClearGallery-0"]
        assert (reply["outcome"], reply["sequence"]) == ("accepted", 1 + 2 * 1001)
