"""The floor of an HTTP write: two Kafka round trips, one transaction and one view write.

Usage: `python -m benchmarks.baselines.http_write_floor PORT`, with the settings of the product. It is one process. It
publishes each request on the commands topic. It stores the records of each poll of that topic in one transaction and
one view write, and publishes a reply for each on the replies topic. Each reply is the response to its request.
"""

import asyncio
import itertools
import sys
import uuid
from typing import Any

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.baselines.floor_http import serve
from benchmarks.baselines.floor_kafka import (
    Message,
    Publisher,
    Soon,
    lanes_of,
    open_consumer,
    open_publisher,
    tune_garbage_collector,
)
from benchmarks.baselines.floor_mongo import Mongo, open_mongo

LANES = 2


class Floor:
    """Publishes and reads both topics."""

    def __init__(self, publisher: Publisher, partitions: int) -> None:
        self._publisher = publisher
        # Each batch goes to the next partition, because a producer has one batch of a partition in flight at a time.
        self._partitions = itertools.cycle(range(partitions))
        self._requests = Soon[Message](0, self._publish)
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}

    async def respond(self, method: bytes, _path: bytes, body: bytes) -> bytes:
        """Handle a request: publish its body, and respond with the reply."""
        if method != b"POST":
            return b"{}"
        key = uuid.uuid4().hex.encode()
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[key] = reply
        self._requests.add([(key, body, [])])
        return await reply

    async def carry_out(self, partitions: range) -> None:
        """Store the commands of some partitions and their views, and publish the replies, until killed."""
        async with open_consumer("commands", partitions, group_id=None) as consumer, open_mongo() as mongo:
            while True:
                batches = await consumer.getmany(timeout_ms=1_000, max_records=500)
                if records := [record for batch in batches.values() for record in batch]:
                    await self._store(mongo, records)

    async def _store(self, mongo: Mongo, records: list[Any]) -> None:
        items = [{"_id": record.key.decode(), "item": orjson.loads(record.value)} for record in records]
        async with mongo.transaction():
            await mongo.insert("items", items)
        await mongo.insert("views", items)
        replies: list[Message] = [
            (record.key, orjson.dumps(item), []) for record, item in zip(records, items, strict=True)
        ]
        await self._publisher.publish({("replies", next(self._partitions)): replies})

    async def read_replies(self, consumer: AIOKafkaConsumer) -> None:
        """Assign replies to the waiting requests, until cancelled."""
        while True:
            for batch in (await consumer.getmany(timeout_ms=1_000)).values():
                for record in batch:
                    self._waiting.pop(record.key).set_result(record.value)

    async def _publish(self, messages: list[Message]) -> None:
        await self._publisher.publish({("commands", next(self._partitions)): messages})


async def main(port: int) -> None:
    """Serve until ended."""
    async with open_publisher() as publisher:
        partitions = await publisher.partitions("commands")
        async with open_mongo() as mongo:
            for collection in ("items", "views"):
                await mongo.command({"create": collection})
        floor = Floor(publisher, partitions)
        async with open_consumer("replies", range(partitions), group_id=None) as replies:
            tune_garbage_collector()
            lanes = [floor.carry_out(lane) for lane in lanes_of(partitions, LANES)]
            await asyncio.gather(serve(port, floor.respond), floor.read_replies(replies), *lanes)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
