"""The floor of an HTTP write: two Kafka round trips, one transaction and one view write, without product code.

Usage: `python -m benchmarks.baselines.http_write_floor PORT`, with the settings of the product. It is one process. It
publishes each request on the commands topic. It stores the records of each poll of that topic in one transaction and
one view write, and publishes a reply for each on the replies topic. Each reply is the response to its request.
"""

import asyncio
import os
import sys
import uuid
from typing import Any

import orjson
import uvicorn
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pymongo import AsyncMongoClient, InsertOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from triptych.kit.kafka import fast_gzip

fast_gzip.install()  # the codec of the product, so that the floor is not slower

Document = dict[str, Any]


class Floor:
    """Publishes and reads both topics."""

    def __init__(self, producer: AIOKafkaProducer, database: AsyncDatabase[Document], prefix: str) -> None:
        self._producer = producer
        self._database = database
        self._commands = f"{prefix}commands"
        self._replies = f"{prefix}replies"
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request: publish its body, and respond with the reply."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["method"] == "POST":
            key = uuid.uuid4().hex.encode()
            reply = self._waiting[key] = asyncio.get_running_loop().create_future()
            await self._producer.send_and_wait(self._commands, body, key=key)
            body = await reply
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def carry_out(self, consumer: AIOKafkaConsumer) -> None:
        """Store commands and their views, and publish the replies, until cancelled."""
        while True:
            batches = await consumer.getmany(timeout_ms=1_000, max_records=500)
            records = [record for batch in batches.values() for record in batch]
            if records:
                items = [{"_id": record.key.decode(), "item": orjson.loads(record.value)} for record in records]
                async with self._database.client.start_session() as session, await session.start_transaction():
                    await self._database["items"].insert_many(items, session=session)
                await self._database["views"].bulk_write([InsertOne(item) for item in items], ordered=False)
                await asyncio.gather(
                    *[
                        await self._producer.send(self._replies, orjson.dumps(item), key=record.key)
                        for record, item in zip(records, items, strict=True)
                    ]
                )

    async def read_replies(self, consumer: AIOKafkaConsumer) -> None:
        """Assign replies to the waiting requests, until cancelled."""
        while True:
            for batch in (await consumer.getmany(timeout_ms=1_000)).values():
                for record in batch:
                    self._waiting.pop(record.key).set_result(record.value)


async def main(port: int) -> None:
    """Serve until ended."""
    bootstrap, prefix = os.environ["TRIPTYCH_KAFKA_BOOTSTRAP"], os.environ["TRIPTYCH_TOPIC_PREFIX"]
    client: AsyncMongoClient[Document] = AsyncMongoClient(os.environ["TRIPTYCH_MONGO_URI"])
    database = client.get_database(
        os.environ["TRIPTYCH_MONGO_DATABASE"],
        read_concern=ReadConcern("majority"),
        write_concern=WriteConcern("majority"),
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, compression_type="gzip")
    consumers = [
        AIOKafkaConsumer(f"{prefix}{topic}", bootstrap_servers=bootstrap, auto_offset_reset="latest")
        for topic in ("commands", "replies")
    ]
    await producer.start()
    for consumer in consumers:
        await consumer.start()
        await consumer.seek_to_end()
    for collection in ("items", "views"):
        await database.create_collection(collection)
    floor = Floor(producer, database, prefix)
    server = uvicorn.Server(
        uvicorn.Config(floor.app, interface="asgi3", port=port, lifespan="off", log_config=None, access_log=False)
    )
    await asyncio.gather(server.serve(), floor.carry_out(consumers[0]), floor.read_replies(consumers[1]))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
