"""Producers and consumers of an installation whose topics get more partitions."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.support.commands import TEXT, body, structured
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Record
from tests.support.product import Gateway
from tests.support.waiting import eventually
from triptych.client import Galleries
from triptych.kit.kafka.partitions import partition_of

NOW = 2 * PARTITIONS
GALLERIES = 4
PAUSE_SECONDS = 0.4
"""Between the items that are added to one gallery."""
FRESH = {"metadata_max_age_ms": 1_000}
"""Options of a client that notices new partitions within a second."""


async def everything_on(installation: Installation, topic: str, partitions: int = NOW) -> list[Record]:
    """All records that are on a topic now, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.addresses.kafka_bootstrap, group_id=None)
    await consumer.start()
    try:
        numbers = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(numbers)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(numbers)
        records: list[Record] = []
        for number in numbers:
            while await consumer.position(number) < ends[number]:
                records += (await consumer.getmany(number, timeout_ms=200)).get(number, [])
        return records
    finally:
        await consumer.stop()


class Writer:
    """A producer that adds items to galleries of its own, without waiting for replies, as fast as it is told."""

    def __init__(self, installation: Installation, producer: AIOKafkaProducer) -> None:
        self._topic = installation.topics.commands
        self._producer = producer
        self.sent: dict[str, list[str]] = {}
        """The titles of each gallery, in the order in which they were sent."""
        self.partitions: dict[str, set[int]] = defaultdict(set)

    async def write(self, stop: asyncio.Event) -> None:
        """Create galleries, and then add items until it is told to stop; wait for acknowledgements at the end only."""
        acknowledgements = []
        for number in range(GALLERIES):
            gallery_id = _gallery_id(moves=number % 2 == 0)
            self.sent[gallery_id] = []
            acknowledgements.append(await self._put("CreateGallery", gallery_id, {}))
        count = 0
        while not stop.is_set():
            for gallery_id, titles in self.sent.items():
                titles.append(str(count))
                items = [{**TEXT, "title": str(count)}]
                acknowledgements.append(await self._put("CreateItems", gallery_id, {"items": items}))
                count += 1
            await asyncio.sleep(PAUSE_SECONDS)
        for gallery_id, acknowledgement in acknowledgements:
            self.partitions[gallery_id].add((await acknowledgement).partition)

    async def has_sent(self, items: int) -> None:
        """Wait until this number of items was added to each gallery from now on."""
        before = self._fewest()

        async def are_sent() -> bool:
            return self._fewest() >= before + items

        await eventually(are_sent, f"{items} more items in each gallery", deadline_seconds=20 + items)

    def _fewest(self) -> int:
        return min(map(len, self.sent.values()), default=0)

    async def _put(self, name: str, gallery_id: str, data: dict[str, Any]) -> tuple[str, asyncio.Future[Any]]:
        value = structured(name, {"galleryId": gallery_id, **data})
        return gallery_id, await self._producer.send(self._topic, value, key=gallery_id.encode())


def _gallery_id(*, moves: bool) -> str:
    """The id of a gallery that moves to one of the new partitions, or of one that stays."""
    while True:
        gallery_id = str(uuid.uuid4())
        if moves == (partition_of(gallery_id.encode(), NOW) >= PARTITIONS):
            return gallery_id


async def write_over_http(gateway: Gateway, stop: asyncio.Event) -> dict[str, int]:
    """Add items over HTTP until told to stop; the number of items by gallery. Every write has to succeed."""
    made = [await gateway.client.post("/v2/galleries", json={"gallery": {}}) for _ in range(2)]
    counts = {answer.raise_for_status().json()["gallery"]["id"]: 0 for answer in made}

    async def add(gallery_id: str) -> None:
        while not stop.is_set():
            answer = await gateway.client.post(f"/v2/galleries/{gallery_id}/items", json={"item": TEXT})
            assert answer.status_code == 200, answer.text
            counts[gallery_id] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*(add(gallery_id) for gallery_id in counts))
    return counts


class EventReader:
    """A consumer that goes by the sequence: it drops repeats, and keeps early events until their predecessors come."""

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._early: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)

    def feed(self, records: Iterable[Record]) -> None:
        for record in records:
            event = body(record)
            if "entityEventSequence" not in event:
                continue
            gallery_id, sequence = event["entityId"], int(event["entityEventSequence"])
            known, early = self.events[gallery_id], self._early[gallery_id]
            if sequence <= len(known):
                assert known[sequence - 1]["id"] == event["id"]
                continue
            early[sequence] = event
            while (following := early.pop(len(known) + 1, None)) is not None:
                known.append(following)

    def check(self) -> None:
        """Nothing is kept back any more."""
        assert not any(self._early.values())


def galleries_of(records: Iterable[Record]) -> Galleries:
    galleries = Galleries()
    for record in records:
        galleries.feed(record.key, record.value)
    return galleries


async def live(installation: Installation, field: str) -> dict[str, Any]:
    """A field of each live gallery of the write model, by id."""
    found = installation.database["galleries"].find({"status": "live"})
    return {document["_id"]: document[field] async for document in found}


async def check_galleries(installation: Installation, galleries: Galleries) -> None:
    """The galleries that a consumer of the joined topic has are those of the write model, with their items."""
    written = {
        found["_id"]: found["sequence"] async for found in installation.database["galleries"].find({"status": "live"})
    }
    assert {gallery_id: galleries.sequence(gallery_id) for gallery_id in galleries} == written
    for gallery_id in written:
        found = installation.database["items"].find({"galleryId": gallery_id}).sort("sortOrder", -1)
        gallery = galleries.get(gallery_id)
        assert gallery is not None
        assert [item["id"] for item in gallery["items"]] == [item["_id"] async for item in found]
