"""A producer that sends commands to a command service and reads its replies and events."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.support.commands import TEXT, body, structured
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Record, TopicReader, raw_producer, topic_reader
from tests.support.write_model import until_no_work_is_left
from triptych.kit.kafka.partitions import partition_of


class Sender:
    """Sends commands and finds their replies and events."""

    def __init__(
        self, installation: Installation, producer: AIOKafkaProducer, replies: TopicReader, events: TopicReader
    ) -> None:
        self._commands = installation.topics.commands
        self.installation = installation
        self.producer = producer
        self.replies = replies
        self.events = events

    async def put(
        self,
        name: str,
        data: dict[str, Any],
        command_id: str | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> str:
        """Publish a command without waiting for its reply; the result is its id."""
        command_id = command_id or str(uuid.uuid4())
        key = data.get("galleryId")
        await self.producer.send(
            self._commands,
            structured(name, data, id=command_id),
            key=key.encode() if key else None,
            headers=list(headers),
        )
        return command_id

    async def reply_to(self, command_id: str, *, deadline_seconds: float = 30.0) -> dict[str, Any]:
        """Wait for the reply to a command."""
        await self.producer.flush()
        found: list[dict[str, Any]] = []

        def is_there(records: list[Record]) -> bool:
            found[:] = [body(record) for record in records if record.key == command_id.encode()]
            return bool(found)

        await self.replies.read_until(is_there, f"a reply to {command_id}", deadline_seconds=deadline_seconds)
        return found[0]

    async def send(self, name: str, data: dict[str, Any], command_id: str | None = None) -> dict[str, Any]:
        """Publish a command and wait for its reply."""
        return await self.reply_to(await self.put(name, data, command_id))

    async def gallery(self, count: int, name: str = "G", gallery_id: str | None = None) -> str:
        """Create a gallery with `count` text items, titled by their position in display order; the result is its id."""
        gallery_id = gallery_id or str(uuid.uuid4())
        first = await self.put("CreateGallery", {"galleryId": gallery_id, "gallery": {"name": name}})
        sent = [first]
        titles = [str(number) for number in range(count)]
        while titles:
            # The items of each call are shown before those of earlier calls, in their own order.
            page, titles = titles[-500:], titles[:-500]
            items = [{**TEXT, "title": title} for title in page]
            sent.append(await self.put("CreateItems", {"galleryId": gallery_id, "items": items}))
        for command_id in sent:
            assert (await self.reply_to(command_id))["outcome"] == "accepted"
        return gallery_id

    async def events_of(self, gallery_id: str, last_sequence: int) -> list[dict[str, Any]]:
        """The first appearances of a gallery's events up to a sequence, which must be in order (I3)."""
        firsts: dict[int, dict[str, Any]] = {}

        def are_there(records: list[Record]) -> bool:
            firsts.clear()
            for record in records:
                event = body(record)
                if event.get("entityId") == gallery_id:
                    firsts.setdefault(int(event["entityEventSequence"]), event)
            return last_sequence in firsts

        await self.events.read_until(are_there, f"event {last_sequence} of {gallery_id}", deadline_seconds=30)
        assert list(firsts) == list(range(1, max(firsts) + 1))
        return list(firsts.values())[:last_sequence]

    async def until_no_work_is_left(self) -> None:
        """Wait until there is no job and no parked command."""
        await until_no_work_is_left(self.installation.database)

    async def item_ids(self, gallery_id: str) -> list[str]:
        """Item ids in display order, from the write model."""
        found = self.installation.database["items"].find({"galleryId": gallery_id}).sort("sortOrder", -1)
        return [item["_id"] async for item in found]

    async def titles(self, gallery_id: str) -> list[str]:
        """Item titles in display order, from the write model."""
        found = self.installation.database["items"].find({"galleryId": gallery_id}).sort("sortOrder", -1)
        return [item["item"]["title"] async for item in found]


@asynccontextmanager
async def sending(installation: Installation, **options: Any) -> AsyncIterator[Sender]:
    """A sender; the test starts the service itself. `options` are those of its Kafka clients."""
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    async with (
        raw_producer(bootstrap, **options) as producer,
        topic_reader(bootstrap, topics.replies, **options) as replies,
        topic_reader(bootstrap, topics.events, **options) as events,
    ):
        yield Sender(installation, producer, replies, events)


def galleries_on(*partitions: int) -> list[str]:
    """Gallery ids, one for each of these partitions."""
    found: list[str] = []
    while len(found) < len(partitions):
        gallery_id = str(uuid.uuid4())
        if partition_of(gallery_id.encode(), PARTITIONS) == partitions[len(found)]:
            found.append(gallery_id)
    return found
