"""Galleries for tests of rebuilds: they are filled, spoiled in every way, and compared with their views and join."""

import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.support.commands import TEXT, structured
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import expire_records, raw_producer, topic_reader
from tests.support.waiting import eventually
from triptych.cli.settings import CliSettings
from triptych.cli.verify import verify
from triptych.client import Galleries
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.mongo.fencing import all_documents
from triptych.readmodel.documents import item_view_id
from triptych.readmodel.queries import Views

GALLERIES = [str(uuid.UUID(int=number, version=4)) for number in range(12)]
ITEMS_MAX = 100_000
"""More than any gallery gets, however long a rebuild takes meanwhile."""
WRITE_SECONDS = 0.2
"""Between two writes during a comparison, which would look for ten seconds at a gallery that changes all the time."""
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


async def fill(installation: Installation, send: Send) -> None:
    """Create galleries with some items, delete one gallery, and wait until the views and the join show all of it.

    A projector that is stopped between them publishes only after its next start.
    """
    for number, gallery_id in enumerate(GALLERIES):
        await send("CreateGallery", gallery_id, gallery={"name": f"N{number}", "items": [TEXT] * (number % 4)})
        await send("CreateItems", gallery_id, items=[TEXT] * 3)
    await send("DeleteGallery", GALLERIES[0])
    await views_are_written(installation)
    await check_join(installation)


async def views_are_written(installation: Installation) -> None:
    """Wait until the views have reached the sequences of the write model."""
    views, written = Views(installation.database), installation.database["galleries"]

    async def is_there() -> bool:
        found = await all_documents(written).to_list(None)
        reached = [await views.sequence_of("default", document["_id"]) == document["sequence"] for document in found]
        return len(found) == len(GALLERIES) and all(reached)

    await eventually(is_there, "the views at the write model's sequences", deadline_seconds=40)


async def has(installation: Installation, gallery_id: str) -> bool:
    """Whether the views have a gallery at the sequence of the write model, beyond what `fill` wrote."""
    written = await installation.database["galleries"].find_one({"_id": gallery_id})
    reached = await Views(installation.database).sequence_of("default", gallery_id)
    return written is not None and reached == written["sequence"] > 4


async def spoil(installation: Installation) -> None:
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


async def spoil_join(installation: Installation) -> str:
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


async def expire_events(installation: Installation) -> None:
    """Let the events topic forget everything, as retention would."""
    await expire_records(installation.addresses.kafka_bootstrap, installation.topics.events, PARTITIONS)


async def check_join(installation: Installation, *, is_compacted: bool = False) -> None:
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


async def found_wrong(settings: CliSettings) -> list[str]:
    """What `verify` tells of a state that stands still: looking at it for ten seconds would tell the same."""
    with hasty():
        return await verify(settings)


@contextlib.contextmanager
def hasty() -> Iterator[None]:
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
