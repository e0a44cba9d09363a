"""The floor of a rebuild: reads each partition of the events topic to its end, and inserts the final documents.

It compares nothing, cannot be interrupted, and has the documents of a partition in memory. Like the product, it creates
the indexes after the inserts.
Usage: `python -m benchmarks.baselines.rebuild_floor VERSION LANES`, with the settings of the projector.
"""

import asyncio
import sys

import orjson
import uvloop
from aiokafka import TopicPartition
from pymongo.asynchronous.database import AsyncDatabase

from benchmarks.baselines.floor_clients import (
    PREFIX,
    Document,
    Writer,
    lanes_of,
    open_consumer,
    open_database,
    open_publisher,
    tune_garbage_collector,
)
from benchmarks.baselines.floor_views import apply_event, gallery_view, item_view

AT_ONCE = 5_000
VIEWS = ("gallery_views", "item_views")


async def main(version: str, lanes: int) -> None:
    """Read and fold all events, insert the documents, create the indexes, and end."""
    async with open_publisher() as publisher, open_database() as database:
        partitions = await publisher.partitions("events")
        tune_garbage_collector()
        await asyncio.gather(*(_build(database, version, lane) for lane in lanes_of(partitions, lanes)))
        await asyncio.gather(*(_create_indexes(database, name, version) for name in VIEWS))


async def _build(database: AsyncDatabase[Document], version: str, partitions: range) -> None:
    """Build one partition after the other, so that MongoDB inserts one while the next is read."""
    writer = Writer(database)
    inserting = asyncio.create_task(asyncio.sleep(0))
    for partition in partitions:
        heads, items = await _read(partition)
        await inserting
        inserting = asyncio.create_task(_insert(writer, version, heads, items))
    await inserting


async def _insert(writer: Writer, version: str, heads: list[Document], items: list[Document]) -> None:
    for name, documents in zip(VIEWS, (heads, items), strict=True):
        for start in range(0, len(documents), AT_ONCE):
            await writer.insert(f"{name}_{version}", documents[start : start + AT_ONCE])


async def _read(partition: int) -> tuple[list[Document], list[Document]]:
    """The documents of the galleries and items of a partition."""
    heads: dict[str, Document] = {}
    items: dict[str, tuple[str, int, Document]] = {}
    async with open_consumer("events", [partition], group_id=None) as consumer:
        topic_partition = TopicPartition(f"{PREFIX}events", partition)
        remaining = (await consumer.end_offsets([topic_partition]))[topic_partition]
        while remaining:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                remaining -= len(records)
                for record in records:
                    _fold(orjson.loads(record.value), heads, items)
    return list(heads.values()), [item_view(*found) for found in items.values()]


def _fold(event: Document, heads: dict[str, Document], items: dict[str, tuple[str, int, Document]]) -> None:
    gallery_id = event["entityId"]
    if "createdEvent" in event:
        heads[gallery_id] = gallery_view(event["createdEvent"]["entity"])
        return
    head = heads[gallery_id]
    item_id, item = apply_event(head, event)
    if item is None:
        del items[item_id]
    else:
        items[item_id] = (gallery_id, head["sequence"], item)


async def _create_indexes(database: AsyncDatabase[Document], name: str, version: str) -> None:
    """Create the indexes that the active version has."""
    indexes = [
        {field: value for field, value in index.items() if field not in ("v", "ns")}
        for index in await (await database[name].list_indexes()).to_list()
        if index["name"] != "_id_"
    ]
    await database.command({"createIndexes": f"{name}_{version}", "indexes": indexes})


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
