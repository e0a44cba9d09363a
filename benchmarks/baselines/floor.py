"""The floor: the reads and writes of the command service by the same clients, without product code.

It has no validation, rejections, retries, repeated commands, forwarding or metrics.
Usage: `python -m benchmarks.baselines.floor BATCH_SIZE`, with the settings of the command service.
"""

import asyncio
import gc
import os
import sys
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pymongo import AsyncMongoClient, ReplaceOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from benchmarks.baselines.floor_changes import HIGHEST, LOWEST, Changes, UnknownNeighbour
from benchmarks.baselines.floor_messages import Document, Message, event_message, reply_message
from triptych.kit.kafka import fast_gzip

fast_gzip.install()  # the codec of the product, so that the floor is not slower

BATCH_BYTES = 512 * 1024
LINE_ITEMS = 4

Command = tuple[int, str, str, Document]
"""Partition, id, name and data."""


class Floor:
    """Handles batches one after the other: load, decide, one transaction, publish, acknowledge, commit."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        database: AsyncDatabase[Document],
        prefix: str,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._database = database
        self._events = f"{prefix}events"
        self._replies = f"{prefix}replies"
        self._number = 0

    async def claim(self, partitions: int) -> None:
        """Claim all partitions, as the only consumer."""
        owners = [{"scope": "floor", "partition": partition, "writes": 0} for partition in range(partitions)]
        await self._database["partition_owners"].insert_many(owners)

    async def handle(self, batch: dict[TopicPartition, list[Any]]) -> None:
        """Carry out a batch of commands."""
        commands = [_command(partition.partition, record) for partition, records in batch.items() for record in records]
        while commands:
            commands = await self._carry_out(commands)
        await self._consumer.commit({partition: records[-1].offset + 1 for partition, records in batch.items()})

    async def _carry_out(self, commands: list[Command]) -> list[Command]:
        """Carry out the first commands, nearly always all of them; the commands that remain."""
        at = datetime.now(UTC)
        now = at.isoformat(timespec="milliseconds")[:-6] + "Z"
        changes = await self._load(commands, now, at.timestamp() * 1000 // 1)
        processed: list[Document] = []
        events: dict[int, list[Message]] = defaultdict(list)
        replies: dict[int, list[Message]] = defaultdict(list)
        for partition, command_id, name, data in commands:
            try:
                head, item_id, body = changes.apply(name, data)
            except UnknownNeighbour:
                break
            events[partition].append(event_message(head, body, command_id, now))
            reply = {
                "commandId": command_id,
                "outcome": "accepted",
                "galleryId": head["_id"],
                "sequence": head["sequence"],
                "itemIds": [item_id],
            }
            processed.append({"_id": f"default/{command_id}", "reply": reply, "at": at})
            replies[partition].append(reply_message(reply))
        rows = [self._row(partition, messages) for partition, messages in events.items()]
        await self._save(changes, rows, processed)
        await asyncio.gather(
            *(self._publish(self._events, partition, messages) for partition, messages in events.items()),
            *(self._publish(self._replies, partition, messages) for partition, messages in replies.items()),
        )
        await self._database["outbox"].update_many(
            {"_id": {"$in": [row["_id"] for row in rows]}},
            {"$set": {"publishedAt": datetime.now(UTC)}, "$unset": {"pending": ""}},
        )
        return commands[len(processed) :]

    async def _load(self, commands: list[Command], now: str, now_ms: float) -> Changes:
        named: set[str] = set()
        for _, _, _, data in commands:
            named.update(data[key] for key in ("itemId", "before", "after") if key in data)
            named.update(data.get("itemIds", ()))
        _, heads, items = await asyncio.gather(
            self._find("processed_commands", [f"default/{command_id}" for _, command_id, _, _ in commands]),
            self._find("galleries", list({data["galleryId"] for _, _, _, data in commands})),
            self._find("items", list(named)),
        )
        changes = Changes(heads, items, now, now_ms)
        moves = [data for _, _, name, data in commands if name == "MoveItem"]
        pipelines = [_line(move, items, number) for number, move in enumerate(moves)]
        pages: list[list[tuple[float, str]]] = [[] for _ in moves]
        if pipelines:
            unions = [{"$unionWith": {"coll": "items", "pipeline": pipeline}} for pipeline in pipelines[1:]]
            async for item in await self._database["items"].aggregate([*pipelines[0], *unions]):
                pages[item["line"]].append((item["sortOrder"], item["_id"]))
        for move, page in zip(moves, pages, strict=True):
            sort_order, is_above = _target(move, items)
            far = page[-1][0] if len(page) == LINE_ITEMS else HIGHEST if is_above else LOWEST
            changes.lines[move["galleryId"]].learn(min(sort_order, far), max(sort_order, far), page)
        return changes

    async def _find(self, collection: str, ids: list[str]) -> dict[str, Document]:
        if not ids:
            return {}
        return {found["_id"]: found async for found in self._database[collection].find({"_id": {"$in": ids}})}

    async def _save(self, changes: Changes, rows: list[Document], processed: list[Document]) -> None:
        database = self._database
        heads = [
            ReplaceOne({"_id": gallery_id, "sequence": changes.loaded[gallery_id]}, head)
            for gallery_id, head in changes.heads.items()
        ]
        gone, new, changed = changes.writes()
        touched = [row["partition"] for row in rows]
        async with database.client.start_session() as session, await session.start_transaction():
            await database["partition_owners"].update_many(
                {"scope": "floor", "partition": {"$in": touched}}, {"$inc": {"writes": 1}}, session=session
            )
            await database["galleries"].bulk_write(heads, ordered=False, session=session)
            if gone:
                await database["items"].delete_many({"_id": {"$in": gone}}, session=session)
            if changed:
                replaced = [ReplaceOne({"_id": item["_id"]}, item) for item in changed]
                await database["items"].bulk_write(replaced, ordered=False, session=session)
            if new:
                await database["items"].insert_many(new, ordered=False, session=session)
            await database["outbox"].insert_many(rows, ordered=False, session=session)
            await database["processed_commands"].insert_many(processed, ordered=False, session=session)

    def _row(self, partition: int, messages: list[Message]) -> Document:
        self._number += 1
        return {
            "_id": f"{partition}-1-{self._number}",
            "partition": partition,
            "epoch": 1,
            "number": self._number,
            "pending": True,
            "events": [{"key": key, "value": value, "headers": dict(headers)} for key, value, headers in messages],
        }

    async def _publish(self, topic: str, partition: int, messages: list[Message]) -> None:
        acknowledgements = []
        batch = self._producer.create_batch()
        for key, value, headers in messages:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                acknowledgements.append(await self._producer.send_batch(batch, topic, partition=partition))
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        acknowledgements.append(await self._producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*acknowledgements)


def _target(move: Document, items: dict[str, Document]) -> tuple[float, bool]:
    """The sort order of the neighbour that an item is moved to, and whether the item goes above it."""
    if "to" in move:
        return (HIGHEST, False) if move["to"] == "start" else (LOWEST, True)
    return items[move.get("before") or move["after"]]["sortOrder"], "before" in move


def _line(move: Document, items: dict[str, Document], number: int) -> list[Document]:
    """The stages that find the neighbours on the side that the item is moved to."""
    sort_order, is_above = _target(move, items)
    bounds = {"$gte" if is_above else "$lte": sort_order}
    return [
        {"$match": {"galleryId": move["galleryId"], "sortOrder": bounds}},
        {"$sort": {"sortOrder": 1 if is_above else -1}},
        {"$limit": LINE_ITEMS},
        {"$project": {"sortOrder": 1, "line": {"$literal": number}}},
    ]


def _command(partition: int, record: Any) -> Command:
    headers = dict(record.headers)
    name = headers["ce_type"].decode().rpartition(".")[2]
    return partition, headers["ce_id"].decode(), name, orjson.loads(record.value)


async def main(batch_size: int) -> None:
    """Run until killed."""
    bootstrap, prefix = os.environ["TRIPTYCH_KAFKA_BOOTSTRAP"], os.environ["TRIPTYCH_TOPIC_PREFIX"]
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, max_batch_size=BATCH_BYTES, compression_type="gzip"
    )
    consumer = AIOKafkaConsumer(
        f"{prefix}commands",
        bootstrap_servers=bootstrap,
        group_id=f"{prefix}floor",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    client = AsyncMongoClient[Document](os.environ["TRIPTYCH_MONGO_URI"], tz_aware=True)
    database = client.get_database(
        os.environ["TRIPTYCH_MONGO_DATABASE"],
        read_concern=ReadConcern("majority"),
        write_concern=WriteConcern("majority"),
    )
    async with producer, consumer, client:
        partitions = len(await producer.partitions_for(f"{prefix}commands"))
        floor = Floor(consumer, producer, database, prefix)
        await floor.claim(partitions)
        while True:
            batch = await consumer.getmany(timeout_ms=200, max_records=batch_size)
            if batch:
                await floor.handle(batch)


if __name__ == "__main__":
    # The thousands of objects of a batch live as long as the batch. Collecting among them takes a tenth of the time.
    gc.freeze()
    gc.set_threshold(500_000, 20, 20)
    uvloop.run(main(int(sys.argv[1])))
