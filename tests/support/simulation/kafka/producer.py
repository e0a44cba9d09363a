"""aiokafka's idempotent producer, as far as `Publisher` uses it: one batch per partition is on its way at a time."""

import asyncio
from collections import deque
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka.errors import KafkaConnectionError, OutOfOrderSequenceNumber

from tests.support.simulation.kafka.broker import Broker, Headers
from tests.support.simulation.loop import current_process

BATCH_BYTES = 512 * 1024
REQUEST_SECONDS, RETRY_SECONDS = 4.0, 0.1
BATCH_HEADER, RECORD_BYTES = 61, 30
_LIMIT = "max.message.bytes"


class Batch:
    """Records that are sent together."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes | None, bytes | None, Headers]] = []
        self._size = BATCH_HEADER

    def append(
        self, *, key: bytes | None, value: bytes | None, timestamp: int | None, headers: Sequence[tuple[str, bytes]]
    ) -> object | None:
        """Add a record; None if there is no room for it."""
        del timestamp
        size = RECORD_BYTES + len(key or b"") + len(value or b"")
        size += sum(len(name) + len(text or b"") for name, text in headers)
        if self.entries and self._size + size > BATCH_BYTES:
            return None
        self._size += size
        self.entries.append((key, value, tuple(headers)))
        return self.entries

    def size(self) -> int:
        """Bytes."""
        return self._size

    def record_count(self) -> int:
        """Records."""
        return len(self.entries)

    def _build(self) -> bytes:
        return bytes(self._size)


class Producer:
    """A producer of one process."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.client = ProducerClient(broker)
        self._sender = SimpleNamespace(close=self._abandon)
        self._id = 0
        self._queues: dict[tuple[str, int], deque[tuple[Batch, asyncio.Future[object]]]] = {}
        self._senders: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._sequences: dict[tuple[str, int], int] = {}
        self._broken: set[tuple[str, int]] = set()

    async def start(self) -> None:
        """Get an id. Raises KafkaError."""
        self._id = await self._broker.call(self._broker.new_producer)

    async def stop(self) -> None:
        """Send what is queued, and end."""
        if self._senders:
            await asyncio.wait(set(self._senders.values()))

    async def partitions_for(self, topic: str) -> set[int]:
        """The partitions of a topic. Raises KafkaError."""
        return await self._broker.call(lambda: set(range(len(self._broker.topics[topic]))))

    def create_batch(self) -> Batch:
        """An empty batch."""
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[object]:
        """Queue a batch; the future ends when the broker has it."""
        place = (topic, partition)
        future: asyncio.Future[object] = self._broker.loop.create_future()
        self._queues.setdefault(place, deque()).append((batch, future))
        if place not in self._senders:
            self._senders[place] = asyncio.create_task(self._send(place))
        return future

    async def _send(self, place: tuple[str, int]) -> None:
        queue = self._queues[place]
        try:
            while queue:
                batch, future = queue[0]
                error = await self._deliver(place, batch)
                queue.popleft()
                if not future.done():
                    future.set_result(object()) if error is None else future.set_exception(error)
                    if error is not None:
                        future.exception()  # it may be that nobody waits any more
        finally:
            self._senders.pop(place, None)

    async def _deliver(self, place: tuple[str, int], batch: Batch) -> Exception | None:
        """Send a batch until the broker has it. An error means that this producer cannot be used for the partition."""
        broker, (topic, partition) = self._broker, place
        if place in self._broken or broker.chance.random() < broker.network.trouble.lost / 10:
            self._broken.add(place)
            error: Exception = OutOfOrderSequenceNumber()
            return error
        sequence = self._sequences[place] = self._sequences.get(place, -1) + 1
        while True:
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    await broker.call(lambda: broker.append_once(self._id, sequence, topic, partition, batch.entries))
            except (TimeoutError, KafkaConnectionError):
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return None

    async def _abandon(self) -> None:
        process = current_process()
        for sender in list(self._senders.values()):
            if process is not None:
                sender.cancel()


class ProducerClient:
    """The producer's client for other requests."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def get_random_node(self) -> int:
        """The only node."""
        return 0

    def force_metadata_update(self) -> None:
        """Metadata is never old here."""

    async def fetch_all_metadata(self) -> Any:
        """What topics there are. Raises KafkaError."""
        topics = await self._broker.call(
            lambda: {name: set(range(len(logs))) for name, logs in self._broker.topics.items()}
        )
        return SimpleNamespace(partitions_for_topic=topics.get)

    async def send(self, _: int, __: Any) -> Any:
        """The size limit of a topic. Raises KafkaError."""
        await self._broker.call(lambda: None)
        return SimpleNamespace(resources=[(0, None, 2, "", [(_LIMIT, str(1024 * 1024))])])

    async def close(self) -> None:
        """Close the connections."""
