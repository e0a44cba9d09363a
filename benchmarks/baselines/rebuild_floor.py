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

from benchmarks.baselines.floor_kafka import PREFIX, lanes_of, open_consumer, open_publisher, tune_garbage_collector
from benchmarks.baselines.floor_mongo import Document, Mongo, open_mongo
from benchmarks.baselines.floor_views import apply_event, gallery_view, item_view

AT_ONCE = 5_000
VIEWS = ("gallery_views", "item_views")


async def main(version: str, lanes: int) -> None:
    """Read and fold all events, insert the documents, create the indexes, and end."""
    async with open_publisher() as publisher:
        partitions = await publisher.partitions("events")
    tune_garbage_collector()
    await asyncio.gather(*(_build(version, lane) for lane in lanes_of(partitions, lanes)))
    await asyncio.gather(*(_create_indexes(name, version) for name in VIEWS))


async def _build(version: str, partitions: range) -> None:
    """Build one partition after the other, so that MongoDB inserts one while the next is read."""
    async with open_mongo() as mongo:
        inserting = asyncio.create_task(asyncio.sleep(0))
        for partition in partitions:
            heads, items = await _read(partition)
            await inserting
            inserting = asyncio.create_task(_insert(mongo, version, heads, items))
        await inserting


async def _insert(mongo: Mongo, version: str, heads: list[Document], items: list[Document]) -> None:
    for name, documents in zip(VIEWS, (heads, items), strict=True):
        for start in range(0, len(documents), AT_ONCE):
            await mongo.insert(f"{name}_{version}", documents[start : start + AT_ONCE])


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


async def _create_indexes(name: str, version: str) -> None:
    """Create the indexes that the active version has."""
    async with open_mongo() as mongo:
        found = (await mongo.command({"listIndexes": name}))["cursor"]["firstBatch"]
        indexes = [index for index in found if index.pop("v") and index["name"] != "_id_"]
        await mongo.command({"createIndexes": f"{name}_{version}", "indexes": indexes})


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
