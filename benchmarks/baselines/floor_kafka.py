"""Shares among the floors what Kafka costs at least: a fast codec, batches of records, offsets in the background.

What it fetches, a broker remembers (KIP-227), so a fetch contains only changes.
"""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import zip_longest
from typing import Any, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record import default_records
from aiokafka.record._crecords import default_records as fast_default_records
from isal import isal_zlib

Headers = list[tuple[str, bytes]]
Message = tuple[bytes, bytes | None, Headers]
"""Key, value and headers of a record."""
Destination = tuple[str, int]
"""A topic without its prefix, and a partition."""
Batch = dict[TopicPartition, list[Any]]
T = TypeVar("T")

BATCH_BYTES = 512 * 1024
OFFSETS_SECONDS = 0.2
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


class _Changes(FetchRequest):  # type: ignore[misc]
    """The part of a fetch that has changed since the last one, within the session that its broker keeps."""

    def __init__(self, request: FetchRequest, session: tuple[int, int], before: Mapping[Destination, int]) -> None:
        self.__dict__.update(request.__dict__)
        self._session = session
        self.offsets = {(topic, entry[0]): entry[1] for topic, entries in request.topics for entry in entries}
        self._topics = [
            (topic, [entry for entry in entries if before.get((topic, entry[0])) != entry[1]])
            for topic, entries in request.topics
        ]
        self._forgotten = [(topic, [number]) for topic, number in before.keys() - self.offsets.keys()]

    def build(self, request_struct_class: Any) -> Any:
        built = super().build(request_struct_class)
        built.session_id, built.session_epoch = self._session
        built.forgotten_topics_data = self._forgotten
        return built


def _fetch_changes(client: Any) -> None:
    """Let a consumer's client fetch within sessions, so that a fetch does not name all partitions."""
    send, sessions = client.send, dict[int, tuple[int, int, Mapping[Destination, int]]]()

    async def send_changes(node: int, request: Any, **options: Any) -> Any:
        if not isinstance(request, FetchRequest):
            return await send(node, request, **options)
        session, epoch, before = sessions.pop(node, (0, 0, {}))
        changes = _Changes(request, (session, epoch), before)
        response = await send(node, changes, **options)
        if response.session_id:
            sessions[node] = response.session_id, epoch + 1, changes.offsets
        return response

    client.send = send_changes


@asynccontextmanager
async def open_consumer(topic: str, partitions: Iterable[int], **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of some partitions of a topic, for one lane. It has joined no group, but may commit offsets."""
    options = {"group_id": f"{PREFIX}floor", "auto_offset_reset": "earliest", **options}
    async with AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, enable_auto_commit=False, **options) as consumer:
        _fetch_changes(consumer._client)
        consumer.assign([TopicPartition(f"{PREFIX}{topic}", partition) for partition in partitions])
        yield consumer


class Publisher:
    """Sends the records of each partition in as few batches as possible, without a task for each."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def partitions(self, topic: str) -> int:
        """The number of partitions of a topic."""
        return len(await self._producer.partitions_for(f"{PREFIX}{topic}"))

    async def publish(self, records: Mapping[Destination, Iterable[Message]]) -> None:
        """Return when Kafka has acknowledged all records."""
        batches = {destination: self._batches(messages) for destination, messages in records.items()}
        acknowledgements = []
        # A partition takes one batch at a time, so all partitions get their first batches first.
        for turn in zip_longest(*batches.values()):
            for (topic, partition), batch in zip(batches, turn, strict=True):
                if batch is not None:
                    sent = await self._producer.send_batch(batch, f"{PREFIX}{topic}", partition=partition)
                    acknowledgements.append(sent)
        for acknowledgement in acknowledgements:
            await acknowledgement

    def _batches(self, messages: Iterable[Message]) -> list[BatchBuilder]:
        batches = [batch := self._producer.create_batch()]
        for key, value, headers in messages:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                batches.append(batch := self._producer.create_batch())
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        return batches


@asynccontextmanager
async def open_publisher() -> AsyncIterator[Publisher]:
    """An idempotent producer."""
    async with AIOKafkaProducer(
        bootstrap_servers=BOOTSTRAP, enable_idempotence=True, max_batch_size=BATCH_BYTES, compression_type="gzip"
    ) as producer:
        yield Publisher(producer)


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
    """Batches of bounded size. The offsets of a batch are committed soon after it is handled."""
    offsets = Soon[tuple[TopicPartition, int]](OFFSETS_SECONDS, lambda finished: consumer.commit(dict(finished)))
    while True:
        batch = await consumer.getmany(timeout_ms=1_000, max_records=batch_size)
        if batch:
            yield batch
            offsets.add((partition, records[-1].offset + 1) for partition, records in batch.items())


def lanes_of(partitions: int, lanes: int) -> list[range]:
    """All partitions, spread over lanes that run concurrently."""
    return [range(lane, partitions, lanes) for lane in range(min(lanes, partitions))]
