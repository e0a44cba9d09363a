"""Commands in one batch have the same results as alone: no command harms its neighbours."""

import os
import random
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from tests.support.command_mix import CommandMix, Sent, received
from tests.support.commands import TEXT, body, header, structured
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.sender import Sender
from tests.support.write_model import until_no_work_is_left
from triptych.command.app import LANES, compose, indexes, make_handler
from triptych.command.domain import decide as decide_module
from triptych.command.domain.decide import DIRECT_ITEMS
from triptych.command.domain.state import Change
from triptych.command.domain.unit_of_work import ReceivedCommand
from triptych.command.handler import CommandHandler
from triptych.command.settings import CommandSettings
from triptych.command.store import loader as loader_module
from triptych.command.store.repository import WriteModelRepository
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.consuming.lanes import Lanes
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.mongo.driver import Database
from triptych.kit.run_all import run_all
from triptych.kit.startup.provision import ensure_indexes

LISTS = int(os.environ.get("TRIPTYCH_TEST_LISTS", "6"))


class RecordingPublisher(Publisher):
    """Remembers the records that it has published."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.published: list[OutgoingRecord] = []
        self.is_failing = False

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        if self.is_failing:
            raise TransientFailure("as if Kafka were away")
        await super().publish(records)
        self.published += records


class Side:
    """A command service without a consumer, on its own database. Its batches are split by `lanes`."""

    lanes = Lanes()

    def __init__(self, handler: CommandHandler, database: Database, publisher: RecordingPublisher, topic: str) -> None:
        self._handler = handler
        self.most_lanes = 0
        self._database = database
        self.publisher = publisher
        self._topic = topic

    async def handle(self, sent: list[Sent]) -> None:
        """Handle one batch, and wait for the jobs that it starts."""
        lanes = self.lanes.of(received(self._topic, sent, PARTITIONS))
        self.most_lanes = max(self.most_lanes, len(lanes))
        await run_all([self._handler.handle(lane) for lane in lanes])
        await until_no_work_is_left(self._database)

    def replies(self) -> dict[str, list[dict[str, Any]]]:
        """Take the replies so far, by command id, in order."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in self.publisher.published:
            if record.topic.endswith(".replies"):
                reply = orjson.loads(record.value or b"")
                found[reply["commandId"]].append(reply)
        self.publisher.published.clear()
        return found

    async def state(self, galleries: set[str]) -> dict[str, Any]:
        """Heads and items in display order, without dates, and with only those sort orders that a command asked for."""
        heads = self._database["galleries"].find({"_id": {"$in": list(galleries)}})
        state: dict[str, Any] = {}
        async for head in heads:
            items = self._database["items"].find({"galleryId": head["_id"]}).sort("sortOrder", -1)
            shown = [
                {name: value for name, value in item["item"].items() if name not in ("createdDate", "updatedDate")}
                async for item in items
            ]
            for item in shown:
                item["sortOrder"] = _explicit(item["sortOrder"])
            fields = {name: head.get(name) for name in ("name", "totalItems", "sequence", "status", "job")}
            state[head["_id"]] = {**fields, "sortOrder": _explicit(head.get("sortOrder")), "items": shown}
        return state


def _explicit(sort_order: float | None) -> float | None:
    """The sort order, or None if a clock has chosen it."""
    return sort_order if sort_order is None or abs(sort_order) < 1e9 or abs(sort_order) > 1e15 else None


@asynccontextmanager
async def handling(installation: Installation, name: str) -> AsyncIterator[Side]:
    settings = installation.settings(CommandSettings)
    database = installation.database.client.get_database(
        f"{installation.name}-{name}",
        read_concern=installation.database.read_concern,
        write_concern=installation.database.write_concern,
    )
    topics = installation.topics
    publisher = RecordingPublisher(lambda: make_producer(settings))
    handler = make_handler(
        database, publisher, publisher, DeadLetterPublisher(publisher, topics.dead_letter), topics, name
    )
    await ensure_indexes(database, indexes(settings))
    await publisher.start()
    try:
        await handler.assigned(frozenset(range(PARTITIONS)))
        yield Side(handler, database, publisher, topics.commands)
    finally:
        await handler.released()
        await publisher.stop()
        await installation.database.client.drop_database(database.name)


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
            mix.weights = {name: mix.weights[name] for name in ("CreateItems", "UpdateItem", "MoveItem", "DeleteItems")}
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


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a command at which the domain raises."""
    change = decide_module._change

    def breaking(command: ReceivedCommand, *args: Any) -> Change:
        if command.envelope.command_id == "poison":
            raise ZeroDivisionError("a fault of ours")
        return change(command, *args)

    monkeypatch.setattr(decide_module, "_change", breaking)
    return "poison"


async def test_a_command_that_breaks_the_domain_is_dead_lettered_and_its_neighbours_are_carried_out(
    installation: Installation, poison: str
) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    gallery_id = str(uuid.uuid4())
    async with raw_producer(bootstrap) as producer:
        await producer.send_and_wait(
            topics.commands, structured("CreateGallery", {"galleryId": gallery_id}, id="c"), key=gallery_id.encode()
        )
        for command_id in ("a", poison, "b"):
            add = structured("CreateItems", {"galleryId": gallery_id, "items": [TEXT]}, id=command_id)
            await producer.send_and_wait(topics.commands, add, key=gallery_id.encode())
    async with (
        compose(installation.settings(CommandSettings)),
        topic_reader(bootstrap, topics.replies) as replies,
        topic_reader(bootstrap, topics.dead_letter(topics.commands)) as letters,
    ):
        answers = {body(reply)["commandId"]: body(reply) for reply in await replies.read_count(4)}
        assert answers.pop(poison)["error"]["code"] == "INTERNAL"
        assert {name: answer["sequence"] for name, answer in answers.items()} == {"c": 1, "a": 2, "b": 3}
        (letter,) = await letters.read_count(1)
    assert header(letter, "dead-letter-reason") == "handler-failed"
    assert b'"id": "poison"' in letter.value


async def test_a_command_that_breaks_the_domain_after_waiting_for_a_job_delays_nobody(
    sender: Sender, poison: str
) -> None:
    installation = sender.installation
    large, other = await sender.gallery(DIRECT_ITEMS + 1), await sender.gallery(DIRECT_ITEMS + 1)
    cleared = await sender.put("ClearGallery", {"galleryId": large})
    await sender.put("CreateItems", {"galleryId": large, "items": [TEXT]}, poison)
    after = await sender.put("CreateItems", {"galleryId": large, "items": [TEXT]})
    also = await sender.put("ClearGallery", {"galleryId": other})
    for command_id in (cleared, after, also):
        assert (await sender.reply_to(command_id))["outcome"] == "accepted"
    topics = installation.topics
    async with topic_reader(installation.addresses.kafka_bootstrap, topics.dead_letter(topics.commands)) as letters:
        (letter,) = await letters.read_count(1)
    assert b'"id": "poison"' in letter.value
    await sender.until_no_work_is_left()


async def test_a_record_as_large_as_kafka_takes_is_dead_lettered_like_any_other(sender: Sender) -> None:
    topics = sender.installation.topics
    large = random.Random(1).randbytes(1024 * 1024 - 100)  # random, so that compression does not make it small
    producer = AIOKafkaProducer(
        bootstrap_servers=sender.installation.addresses.kafka_bootstrap, max_request_size=2 * 1024 * 1024
    )
    await producer.start()
    try:
        await producer.send_and_wait(topics.commands, large, partition=0)
    finally:
        await producer.stop()
    assert (await sender.send("CreateGallery", {}))["outcome"] == "accepted"
    bootstrap = sender.installation.addresses.kafka_bootstrap
    async with topic_reader(bootstrap, topics.dead_letter(topics.commands)) as letters:
        (letter,) = await letters.read_count(1)
    assert letter.value == large
