"""Shares among the floors what costs least in Python: clients, writes, record batches, work in the background.

It contains every trick of this kind that the product has, and some that it has not.
"""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.record import default_records
from aiokafka.record._crecords import default_records as fast_default_records
from isal import isal_zlib
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

Document = dict[str, Any]
Headers = list[tuple[str, bytes]]
Message = tuple[bytes, bytes | None, Headers]
"""Key, value and headers of a record."""
Batch = dict[TopicPartition, list[Any]]
T = TypeVar("T")

BATCH_BYTES = 512 * 1024
OFFSETS_SECONDS = 0.5
_GZIP = 16 + isal_zlib.MAX_WBITS
BOOTSTRAP, PREFIX = os.environ["TRIPTYCH_KAFKA_BOOTSTRAP"], os.environ["TRIPTYCH_TOPIC_PREFIX"]


def _compress(payload: bytes, compresslevel: int | None = None) -> bytes:
    compressor = isal_zlib.compressobj(compresslevel or 1, isal_zlib.DEFLATED, _GZIP)
    return compressor.compress(payload) + compressor.flush()


for module in (default_records, fast_default_records):
    # aiokafka's own codec is zlib at level 9, which takes more than 20 times as long.
    module.gzip_encode = _compress
    module.gzip_decode = lambda payload: isal_zlib.decompress(bytes(payload), _GZIP)


def tune_garbage_collector() -> None:
    """Exclude the objects that live as long as the process, and collect no garbage within a batch."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 20, 20)


@asynccontextmanager
async def open_database() -> AsyncIterator[AsyncDatabase[Document]]:
    """The database of the round, with majority reads and writes."""
    async with AsyncMongoClient[Document](os.environ["TRIPTYCH_MONGO_URI"], tz_aware=True) as client:
        yield client.get_database(
            os.environ["TRIPTYCH_MONGO_DATABASE"],
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern("majority"),
        )


@asynccontextmanager
async def open_consumer(topic: str, partitions: Iterable[int], **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of some partitions of a topic, for one lane. It has joined no group, but may commit offsets."""
    options = {"group_id": f"{PREFIX}floor", "auto_offset_reset": "earliest", **options}
    async with AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, enable_auto_commit=False, **options) as consumer:
        consumer.assign([TopicPartition(f"{PREFIX}{topic}", partition) for partition in partitions])
        yield consumer


class Publisher:
    """Sends the records of one partition in as few batches as possible."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def partitions(self, topic: str) -> int:
        """The number of partitions of a topic."""
        return len(await self._producer.partitions_for(f"{PREFIX}{topic}"))

    async def publish(self, topic: str, partition: int, messages: Iterable[Message]) -> None:
        """Return when Kafka has acknowledged all records."""
        name, acknowledgements = f"{PREFIX}{topic}", []
        batch = self._producer.create_batch()
        for key, value, headers in messages:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                acknowledgements.append(await self._producer.send_batch(batch, name, partition=partition))
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        acknowledgements.append(await self._producer.send_batch(batch, name, partition=partition))
        for acknowledgement in acknowledgements:
            await acknowledgement


@asynccontextmanager
async def open_publisher() -> AsyncIterator[Publisher]:
    """An idempotent producer."""
    async with AIOKafkaProducer(
        bootstrap_servers=BOOTSTRAP, enable_idempotence=True, max_batch_size=BATCH_BYTES, compression_type="gzip"
    ) as producer:
        yield Publisher(producer)


class Writer:
    """Writes to MongoDB by plain commands, since the driver's helpers take microseconds for each document.

    Every method raises RuntimeError if not all documents were written.
    """

    def __init__(self, database: AsyncDatabase[Document], session: AsyncClientSession | None = None) -> None:
        """Without a session in a transaction, each write waits for the majority."""
        self._database = database
        self._session = session

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        """Insert documents."""
        await self._run({"insert": collection, "documents": documents, "ordered": False}, len(documents))

    async def update(self, collection: str, updates: Sequence[Document]) -> None:
        """Carry out updates, each of one document: `q` is the filter, `u` the update or the new document."""
        await self._run({"update": collection, "updates": updates, "ordered": False}, len(updates))

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete documents by id."""
        deletes = [{"q": {"_id": {"$in": ids}}, "limit": 0}]
        await self._run({"delete": collection, "deletes": deletes, "ordered": False}, len(ids))

    async def _run(self, command: Document, count: int) -> None:
        if count:
            if self._session is None:
                command["writeConcern"] = {"w": "majority"}
            answer = await self._database.command(command, session=self._session)
            if answer["n"] != count or "writeErrors" in answer:
                raise RuntimeError(f"{answer} instead of {count} written documents")


def replacement(document: Document) -> Document:
    """The update that replaces a document by its id."""
    return {"q": {"_id": document["_id"]}, "u": document}


@asynccontextmanager
async def transaction(database: AsyncDatabase[Document]) -> AsyncIterator[Writer]:
    """Commits by a majority when the block ends."""
    async with database.client.start_session() as session, await session.start_transaction():
        yield Writer(database, session)


class Fence:
    """Fences partitions as the product does, by documents in a collection that every transaction writes anyway."""

    def __init__(self, database: AsyncDatabase[Document], collection: str) -> None:
        self._database = database
        self._collection = collection

    async def claim(self, partitions: Iterable[int]) -> None:
        """Claim partitions, as their only owner."""
        claims = [{"_id": _claim_id(partition), "token": "floor", "writes": 0} for partition in partitions]
        await Writer(self._database).insert(self._collection, claims)

    def updates(self, partitions: Iterable[int]) -> list[Document]:
        """The updates that a transaction needs."""
        return [
            {"q": {"_id": _claim_id(partition), "token": "floor"}, "u": {"$inc": {"writes": 1}}}
            for partition in partitions
        ]


class Soon(Generic[T]):
    """Collects values, and handles all of them together in the background a while after the first one."""

    def __init__(self, seconds: float, handle: Callable[[list[T]], Awaitable[Any]]) -> None:
        self._seconds = seconds
        self._handle = handle
        self._values: list[T] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, values: Iterable[T]) -> None:
        """Add values."""
        self._values.extend(values)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._values:
            await asyncio.sleep(self._seconds)
            values, self._values = self._values, []
            await self._handle(values)


async def each_batch(consumer: AIOKafkaConsumer, batch_size: int) -> AsyncIterator[Batch]:
    """Batches of up to so many records. The offsets of a batch are committed soon after it is handled."""
    offsets = Soon[tuple[TopicPartition, int]](OFFSETS_SECONDS, lambda finished: consumer.commit(dict(finished)))
    while True:
        batch = await consumer.getmany(timeout_ms=1_000, max_records=batch_size)
        if batch:
            yield batch
            offsets.add((partition, records[-1].offset + 1) for partition, records in batch.items())


def lanes_of(partitions: int, lanes: int) -> list[range]:
    """All partitions, spread over lanes that run concurrently."""
    return [range(lane, partitions, lanes) for lane in range(min(lanes, partitions))]


def _claim_id(partition: int) -> Document:
    return {"scope": "floor", "partition": partition}
