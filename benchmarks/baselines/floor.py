"""The floor of commands: the cheapest known way to the write model, events and replies of the command service.

It has no validation, rejections, retries or forwarding, and a repeated command ends it. Unlike the product, it keeps
all heads of galleries in memory, and its lanes never wait for each other.
Usage: `python -m benchmarks.baselines.floor BATCH_SIZE LANES`, with the settings of the command service.
"""

import asyncio
import sys
from collections import defaultdict
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import orjson
import uvloop

from benchmarks.baselines.floor_changes import HIGHEST, LOWEST, Changes, UnknownNeighbour
from benchmarks.baselines.floor_kafka import (
    Batch,
    Destination,
    Message,
    Publisher,
    Soon,
    each_batch,
    lanes_of,
    open_consumer,
    open_publisher,
    tune_garbage_collector,
)
from benchmarks.baselines.floor_messages import event_message, reply_message
from benchmarks.baselines.floor_mongo import Document, Mongo, claim, fences, open_mongo, replacement

LINE_ITEMS = 4
ACKNOWLEDGE_SECONDS = 0.1

Command = tuple[int, str, str, Document]
"""Partition, id, name and data."""


class Lane:
    """Handles the batches of some partitions one after the other: load, decide, one transaction, publish."""

    def __init__(self, publisher: Publisher, mongo: Mongo) -> None:
        self._publisher = publisher
        self._mongo = mongo
        self._acknowledgements = Soon[str](ACKNOWLEDGE_SECONDS, self._acknowledge)
        self._heads: dict[str, Document] = {}
        self._number = 0

    async def run(self, partitions: range, batch_size: int) -> None:
        """Carry out the commands of some partitions, until killed."""
        async with open_consumer("commands", partitions) as consumer:
            async for batch in each_batch(consumer, batch_size):
                await self._handle(batch)

    async def _handle(self, batch: Batch) -> None:
        commands = [_command(partition.partition, record) for partition, records in batch.items() for record in records]
        while commands:
            commands = await self._carry_out(commands)

    async def _carry_out(self, commands: list[Command]) -> list[Command]:
        """Carry out the first commands, nearly always all of them; the commands that remain."""
        at = datetime.now(UTC)
        now = at.isoformat(timespec="milliseconds")[:-6] + "Z"
        changes = await self._load(commands, now, at.timestamp() * 1000 // 1)
        processed: list[Document] = []
        records: dict[Destination, list[Message]] = defaultdict(list)
        for partition, command_id, name, data in commands:
            try:
                head, item_id, body = changes.apply(name, data)
            except UnknownNeighbour:
                break
            records["events", partition].append(event_message(head, body, command_id, now))
            reply = {
                "commandId": command_id,
                "outcome": "accepted",
                "galleryId": head["_id"],
                "sequence": head["sequence"],
                "itemIds": [item_id],
            }
            processed.append({"_id": f"default/{command_id}", "reply": reply, "at": at})
            records["replies", partition].append(reply_message(reply))
        rows = [self._row(number, events) for (topic, number), events in records.items() if topic == "events"]
        await self._save(changes, rows, processed)
        await self._publisher.publish(records)
        self._acknowledgements.add(row["_id"] for row in rows)
        return commands[len(processed) :]

    async def _load(self, commands: list[Command], now: str, now_ms: float) -> Changes:
        galleries: dict[str, None] = {}
        whole: set[str] = set()
        named: set[str] = set()
        for _, _, name, data in commands:
            galleries[data["galleryId"]] = None
            if name in ("UpdateItem", "MoveItem"):
                whole.add(data["itemId"])
                named.update(data[key] for key in ("before", "after") if key in data)
            else:
                named.update(data.get("itemIds", ()))
        unknown = [gallery_id for gallery_id in galleries if gallery_id not in self._heads]
        items = await self._find(unknown, whole, named - whole)
        changes = Changes({gallery_id: self._heads[gallery_id] for gallery_id in galleries}, items, now, now_ms)
        await self._load_lines(changes, [data for _, _, name, data in commands if name == "MoveItem"])
        return changes

    async def _find(self, galleries: list[str], whole: set[str], named: set[str]) -> dict[str, Document]:
        """Load galleries and items in one query. Of items that commands only name, only the sort order is needed."""
        unions = []
        if galleries:
            unions.append(("galleries", [_by_ids(galleries)]))
        if whole:
            unions.append(("items", [_by_ids(list(whole))]))
        if named:
            unions.append(("items", [_by_ids(list(named)), {"$project": {"sortOrder": 1}}]))
        items: dict[str, Document] = {}
        if not unions:
            return items
        (first, pipeline), *others = unions
        pipeline += [{"$unionWith": {"coll": name, "pipeline": stages}} for name, stages in others]
        for document in await self._mongo.aggregate(first, pipeline):
            (self._heads if "sequence" in document else items)[document["_id"]] = document
        return items

    async def _load_lines(self, changes: Changes, moves: list[Document]) -> None:
        if not moves:
            return
        pipelines = [_line(move, changes.items, number) for number, move in enumerate(moves)]
        unions = [{"$unionWith": {"coll": "items", "pipeline": pipeline}} for pipeline in pipelines[1:]]
        pages: list[list[tuple[float, str]]] = [[] for _ in moves]
        for item in await self._mongo.aggregate("items", [*pipelines[0], *unions]):
            pages[item["line"]].append((item["sortOrder"], item["_id"]))
        for move, page in zip(moves, pages, strict=True):
            sort_order, is_above = _target(move, changes.items)
            far = page[-1][0] if len(page) == LINE_ITEMS else HIGHEST if is_above else LOWEST
            changes.lines[move["galleryId"]].learn(min(sort_order, far), max(sort_order, far), page)

    async def _save(self, changes: Changes, rows: list[Document], processed: list[Document]) -> None:
        heads = [
            {"q": {"_id": gallery_id, "sequence": changes.loaded[gallery_id]}, "u": head}
            for gallery_id, head in changes.heads.items()
            if head["sequence"] != changes.loaded[gallery_id]
        ]
        gone, new, changed = changes.writes()
        async with (mongo := self._mongo).transaction():
            await mongo.update("galleries", fences(row["partition"] for row in rows) + heads)
            await mongo.delete("items", gone)
            await mongo.update("items", [replacement(item) for item in changed])
            await mongo.insert("items", new)
            await mongo.insert("outbox", rows)
            await mongo.insert("processed_commands", processed)

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

    async def _acknowledge(self, row_ids: list[str]) -> None:
        published = {"$set": {"publishedAt": datetime.now(UTC)}, "$unset": {"pending": ""}}
        update = {"q": {"_id": {"$in": row_ids}}, "u": published, "multi": True}
        # On its own, next to the transaction that may be open on the connection.
        await self._mongo.command({"update": "outbox", "writeConcern": {"w": 1}}, "updates", [update])


def _by_ids(ids: list[str]) -> Document:
    return {"$match": {"_id": {"$in": ids}}}


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


async def main(batch_size: int, lanes: int) -> None:
    """Run until killed."""
    async with open_publisher() as publisher, AsyncExitStack() as stack:
        partitions = await publisher.partitions("commands")
        every = [(await stack.enter_async_context(open_mongo()), lane) for lane in lanes_of(partitions, lanes)]
        await claim(every[0][0], "galleries", range(partitions))
        tune_garbage_collector()
        await asyncio.gather(*(Lane(publisher, mongo).run(lane, batch_size) for mongo, lane in every))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
