"""A command service without a consumer. Tests hand it batches, and compare what it answers and stores."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

from tests.support.command_mix import Sent, received
from tests.support.installation import PARTITIONS, Installation
from tests.support.write_model import until_no_work_is_left
from triptych.command.app import indexes, make_handler
from triptych.command.handler import CommandHandler
from triptych.command.settings import CommandSettings
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.consuming.lanes import Lanes
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.mongo.driver import Database
from triptych.kit.run_all import run_all
from triptych.kit.startup.provision import ensure_indexes


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
