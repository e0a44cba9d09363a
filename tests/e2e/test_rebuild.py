"""Rebuilding the views on real servers, beside the services that go on working."""

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from prometheus_client import REGISTRY

from tests.support.commands import TEXT, structured
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import expire_records, raw_producer, topic_reader
from tests.support.product import running_command_service, running_projector
from tests.support.waiting import eventually
from triptych.cli.rebuild import rebuild
from triptych.cli.settings import CliSettings
from triptych.cli.verify import verify
from triptych.client import Galleries
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.mongo.fencing import all_documents
from triptych.kit.startup.provision import ensure_topics
from triptych.projector.rebuild.digests import GalleryStore
from triptych.projector.rebuild.join_restoration import JoinUnequal, restore_join
from triptych.projector.rebuild.rebuild import Rebuild
from triptych.projector.settings import ProjectorSettings
from triptych.readmodel.documents import item_view_id
from triptych.readmodel.queries import Views
from triptych.readmodel.versions import Versions

GALLERIES = [str(uuid.UUID(int=number, version=4)) for number in range(12)]
ITEMS_MAX = 100_000
"""More than any gallery gets, however long a rebuild takes beside it."""
WRITE_SECONDS = 0.2
"""Between two writes beside a proof. A gallery that never stands still would be looked at for ten seconds."""
Send = Callable[..., Awaitable[None]]


@pytest.fixture
async def send(installation: Installation) -> AsyncIterator[Send]:
    """Puts a command on its topic."""
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:

        async def send(name: str, gallery_id: str, **data: object) -> None:
            await _send(producer, installation, name, gallery_id, data)

        yield send


async def _send(
    producer: AIOKafkaProducer, installation: Installation, name: str, gallery_id: str, data: dict[str, Any]
) -> None:
    command = structured(name, {"galleryId": gallery_id, **data})
    await producer.send_and_wait(installation.topics.commands, command, key=gallery_id.encode())


async def _fill(installation: Installation, send: Send) -> None:
    """Galleries with some items, one of them deleted, all of it in the views."""
    for number, gallery_id in enumerate(GALLERIES):
        await send("CreateGallery", gallery_id, gallery={"name": f"N{number}", "items": [TEXT] * (number % 4)})
        await send("CreateItems", gallery_id, items=[TEXT] * 3)
    await send("DeleteGallery", GALLERIES[0])
    await _views_are_written(installation)


async def _views_are_written(installation: Installation) -> None:
    """Wait until the projector has come to where the write model is."""
    views, written = Views(installation.database), installation.database["galleries"]

    async def is_there() -> bool:
        found = await all_documents(written).to_list(None)
        reached = [await views.sequence_of("default", document["_id"]) == document["sequence"] for document in found]
        return len(found) == len(GALLERIES) and all(reached)

    await eventually(is_there, "the views at the write model's sequences", deadline_seconds=40)


async def _spoil(installation: Installation) -> None:
    """Break the views in all the ways that a fault of ours might."""
    items, galleries = installation.database["item_views"], installation.database["gallery_views"]
    wrong = await items.find_one({"galleryId": GALLERIES[1]})
    assert wrong is not None
    await items.update_one({"_id": wrong["_id"]}, {"$set": {"item.title": "wrong"}})
    await items.delete_one({"_id": (await items.find_one({"galleryId": GALLERIES[2]}) or {})["_id"]})
    item_id = str(uuid.uuid4())
    ghost = {**wrong, "_id": item_view_id(GALLERIES[3], item_id), "galleryId": GALLERIES[3]}
    await items.insert_one({**ghost, "item": {**ghost["item"], "id": item_id}})
    await galleries.delete_one({"_id": GALLERIES[4]})
    await galleries.update_one({"_id": GALLERIES[5]}, {"$set": {"name": "wrong"}})


async def _check_join(installation: Installation, *, is_compacted: bool = False) -> None:
    """A consumer of the joined topic has the galleries that the views have."""
    views = Views(installation.database)
    async with topic_reader(installation.addresses.kafka_bootstrap, installation.topics.galleries) as reader:
        consumer, fed = Galleries(), 0

        async def is_equal() -> bool:
            nonlocal consumer, fed
            records = await reader.read_until(lambda _: True, "anything")
            with contextlib.suppress(AssertionError):
                records = await reader.read_until(lambda found: len(found) > fed, "more", deadline_seconds=0.3)
            if is_compacted:
                consumer, fed = Galleries(), 0
                last = {record.key: record.offset for record in records}
                records = [record for record in records if last[record.key] == record.offset]
            for record in records[fed:]:
                consumer.feed(record.key, record.value)
            fed = len(records)
            for gallery_id in GALLERIES:
                page = await views.get_gallery("default", gallery_id, ITEMS_MAX)
                if consumer.get(gallery_id) != (page.to_wire() if page else None):
                    return False
            return True

        await eventually(is_equal, "the join as the views are", deadline_seconds=40)


async def _found_wrong(settings: CliSettings) -> list[str]:
    """What `verify` tells of a state that stands still: looking at it for ten seconds would tell the same."""
    with _hasty():
        return await verify(settings)


@contextlib.contextmanager
def _hasty() -> Iterator[None]:
    """Galleries that differ are looked at twice, not for ten seconds. Not for galleries that are being written."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("verification", "join_check"):
            patch.setattr(f"triptych.projector.rebuild.{module}.ROUNDS", 2)
        yield


class Phases:
    """Hears of a rebuild; `after` ends it in a phase, as Ctrl-C would."""

    def __init__(self, after: str | None = None) -> None:
        self._after = after

    def report(self, phase: str, done: int, total: int) -> None:
        if phase == self._after:
            raise KeyboardInterrupt


async def test_a_rebuild_replaces_wrong_views_while_everything_goes_on(installation: Installation, send: Send) -> None:
    settings = installation.settings(CliSettings)
    async with running_command_service(installation), running_projector(installation):
        await _fill(installation, send)
        assert await verify(settings) == []
        await _spoil(installation)
        assert {line[:36] for line in await _found_wrong(settings)} == set(GALLERIES[1:6])

        stop = asyncio.Event()

        async def write_and_read() -> int:
            views, rounds = Views(installation.database), 0
            while not stop.is_set():
                await send("CreateItems", GALLERIES[6 + rounds % 6], items=[TEXT])
                assert await views.get_gallery("default", GALLERIES[7], 10) is not None
                assert await views.get_gallery("default", GALLERIES[0], 10) is None
                assert (await views.list_galleries("default", 10, 0, 10))[0] >= len(GALLERIES) - 2
                rounds += 1
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), WRITE_SECONDS)
            return rounds

        at_work = asyncio.create_task(write_and_read())
        said = await rebuild(settings)
        stop.set()
        assert await at_work > 0
        # Five were spoiled; those that were just being written may have been behind besides.
        assert 5 <= int(said.rpartition(": ")[2]) < len(GALLERIES)
        assert await Versions(installation.database).active() == 2
        await _views_are_written(installation)
        assert await verify(settings) == []
        await _check_join(installation)
        await send("CreateItems", GALLERIES[1], items=[TEXT])
        await _views_are_written(installation)
        await _check_join(installation)
    assert not {"gallery_views", "item_views"} & set(await installation.database.list_collection_names())


@pytest.mark.parametrize("phase", ["events", "galleries compared", "switching"])
async def test_an_interrupted_rebuild_goes_on(installation: Installation, send: Send, phase: str) -> None:
    settings = installation.settings(ProjectorSettings)
    async with running_command_service(installation), running_projector(installation):
        await _fill(installation, send)
        await _spoil(installation)
        with pytest.raises(KeyboardInterrupt):
            await Rebuild(settings, installation.database, Phases(after=phase)).run()
        assert await Versions(installation.database).active() == 1
        await send("CreateItems", GALLERIES[8], items=[TEXT])
        await eventually(lambda: _has(installation, GALLERIES[8]), "the projector goes on meanwhile")

        assert await Rebuild(settings, installation.database, Phases()).run() == 5
        assert await verify(installation.settings(CliSettings)) == []
        await _check_join(installation)


async def test_views_and_join_come_back_from_the_write_model_alone(installation: Installation, send: Send) -> None:
    """Kafka was lost and provisioned anew: topics begin at 0, and have never told of anything."""
    settings, topics = installation.settings(CliSettings), installation.topics
    async with running_command_service(installation), running_projector(installation):
        await _fill(installation, send)
        assert await verify(settings) == []
    await _make_anew(installation, topics.events, topics.galleries)
    await installation.database["gallery_views"].delete_one({"_id": GALLERIES[4]})
    async with running_command_service(installation), running_projector(installation):
        await send("CreateItems", GALLERIES[8], items=[TEXT])
        await eventually(lambda: _has(installation, GALLERIES[8]), "the projector goes on")
        lines = await _found_wrong(settings)
        # One gallery has come again with its last event, but not its items.
        assert {line[:36] for line in lines if line.endswith("joined topic")} == set(GALLERIES[1:])
        assert [line[:36] for line in lines if line.endswith("views")] == [GALLERIES[4]]
        await rebuild(settings)
        assert await verify(settings) == []
        await _check_join(installation)
        await send("CreateItems", GALLERIES[1], items=[TEXT])
        await _views_are_written(installation)
        assert await verify(settings) == []


async def test_a_join_with_wrong_missing_and_foreign_records_is_put_right(
    installation: Installation, send: Send
) -> None:
    settings = installation.settings(CliSettings)
    async with running_command_service(installation), running_projector(installation):
        await _fill(installation, send)
    ghost = await _spoil_join(installation)
    assert {line[:36] for line in await _found_wrong(settings)} == {*GALLERIES[0:5], ghost}
    async with running_command_service(installation), running_projector(installation):
        stop = asyncio.Event()

        async def write() -> None:
            for number in itertools.count():
                await send("CreateItems", GALLERIES[1 + number % 6], items=[TEXT])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), WRITE_SECONDS)
                    return

        writing = asyncio.create_task(write())
        # As `rebuild` does at its end.
        await restore_join(settings, installation.database, Phases())
        stop.set()
        await writing
        await _views_are_written(installation)
        assert await verify(settings) == []
        assert await installation.database["join_requests"].count_documents({}) == 0
        # Whoever has read that a gallery is deleted keeps to that; this is a reader that comes later.
        await _check_join(installation, is_compacted=True)


async def test_a_join_that_nobody_publishes_is_told_of(installation: Installation, send: Send) -> None:
    settings = installation.settings(CliSettings)
    async with running_command_service(installation), running_projector(installation):
        await _fill(installation, send)
    await _spoil_join(installation)
    with _hasty(), pytest.raises(JoinUnequal, match="as soon as a projector runs"):
        await restore_join(settings, installation.database, Phases(), patience_seconds=0.5)
    async with running_projector(installation):

        async def is_right() -> bool:
            return await verify(settings) == []

        await eventually(is_right, "what was asked for is published", deadline_seconds=40)


async def _spoil_join(installation: Installation) -> str:
    """Break the joined topic of the first five galleries; the id of one that never was."""
    topic, item = installation.topics.galleries, installation.database["item_views"]
    first = [await item.find_one({"galleryId": gallery_id}) or {} for gallery_id in GALLERIES[1:4]]
    ghost, ghost_item = str(uuid.uuid4()), str(uuid.uuid4())
    wrong = {**first[0]["item"], "title": "wrong"}
    gone = {"galleryId": GALLERIES[0], "siteId": "default", "itemId": ghost_item, "sequence": 2, "item": wrong}
    records: list[tuple[str, str | None, dict[str, Any] | None]] = [
        (GALLERIES[0], ghost_item, gone),
        (GALLERIES[1], wrong["id"], {"sequence": first[0]["sequence"], "item": wrong}),
        (GALLERIES[2], first[1]["item"]["id"], None),
        (GALLERIES[3], ghost_item, {"sequence": 1, "item": {**first[2]["item"], "id": ghost_item}}),
        (GALLERIES[4], None, None),
        (ghost, ghost_item, gone),
    ]
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        for gallery_id, item_id, value in records:
            key = f"{gallery_id}/{item_id}" if item_id else gallery_id
            content = None if value is None else json.dumps(value).encode()
            partition = partition_of(gallery_id.encode(), PARTITIONS)
            await producer.send_and_wait(topic, content, key=key.encode(), partition=partition)
    return ghost


async def _make_anew(installation: Installation, *names: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.addresses.kafka_bootstrap)
    await admin.start()
    try:
        await admin.delete_topics(list(names))

        async def are_gone() -> bool:
            return not set(names) & set(await admin.list_topics())

        await eventually(are_gone, "the topics are deleted")
    finally:
        await admin.close()
    await ensure_topics(installation.settings(CliSettings), installation.topics.catalogue(PARTITIONS, 1))


async def _has(installation: Installation, gallery_id: str) -> bool:
    written = await installation.database["galleries"].find_one({"_id": gallery_id})
    reached = await Views(installation.database).sequence_of("default", gallery_id)
    return written is not None and reached == written["sequence"] > 4


async def test_galleries_are_stored_alike_on_both_sides(installation: Installation, send: Send) -> None:
    """Otherwise a proof compares every gallery field by field, at four times the cost."""
    async with running_command_service(installation), running_projector(installation):
        await _fill(installation, send)
        written = await GalleryStore(installation.database).combined_hash(GALLERIES)
        assert written == await GalleryStore(installation.database, 1).combined_hash(GALLERIES) is not None


async def test_a_rebuild_asks_for_what_the_topic_does_not_hold_any_more(installation: Installation, send: Send) -> None:
    asked = REGISTRY.get_sample_value("triptych_projection_repairs_total") or 0
    async with running_command_service(installation), running_projector(installation):
        await _fill(installation, send)
        await _spoil(installation)
        await _expire_events(installation)
        assert await Rebuild(installation.settings(ProjectorSettings), installation.database, Phases()).run() == 5
        assert (REGISTRY.get_sample_value("triptych_projection_repairs_total") or 0) >= asked + len(GALLERIES[1:])
        assert await verify(installation.settings(CliSettings)) == []
        await _check_join(installation)


async def test_events_that_expired_unread_are_asked_for(installation: Installation, send: Send) -> None:
    async with running_command_service(installation):
        async with running_projector(installation):
            await _fill(installation, send)
        for gallery_id in GALLERIES[1:]:
            await send("CreateItems", gallery_id, items=[TEXT])
        await send("DeleteGallery", GALLERIES[11])

        async def is_written() -> bool:
            found = await installation.database["galleries"].find_one({"_id": GALLERIES[11]})
            events = await installation.database["outbox"].count_documents({"pending": True})
            return found is not None and found["status"] == "deleted" and events == 0

        await eventually(is_written, "everything written")
        await _expire_events(installation)
        async with running_projector(installation):

            async def is_equal() -> bool:
                return await verify(installation.settings(CliSettings)) == []

            await eventually(is_equal, "views equal to the write model", deadline_seconds=60)
            assert await Views(installation.database).get_gallery("default", GALLERIES[11], 1) is None
            await _check_join(installation)


async def _expire_events(installation: Installation) -> None:
    """Let the events topic forget everything, as retention would."""
    await expire_records(installation.addresses.kafka_bootstrap, installation.topics.events, PARTITIONS)
