"""A load for a soak: commands at a steady rate that leave galleries as large as they were, and how long each took."""

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from statistics import quantiles
from typing import NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.support.command_mix import SITE
from tests.support.commands import SOURCE, TEXT, structured
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import raw_producer
from tests.support.sender import galleries_on
from triptych.contract.identity import derived_item_id

GALLERIES = 60
ITEMS = 20
"""Items that a gallery keeps. From then on, each creation is followed by the deletion of the oldest."""
TICK_SECONDS = 0.05


class Done(NamedTuple):
    """A command that was answered: the second of its sending since the start, and the seconds until its reply."""

    at: float
    seconds: float


class SteadyState:
    """Sends commands to galleries of its own. What it remembers of answered commands is two numbers each."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._galleries = galleries_on(*(number % PARTITIONS for number in range(GALLERIES)))
        self._items: dict[str, deque[str]] = {gallery: deque() for gallery in self._galleries}
        self._pending: dict[str, float] = {}
        self._started = time.monotonic()
        self._refused: list[bytes] = []
        self.sent = 0
        self.done: list[Done] = []

    @property
    def pending(self) -> int:
        """Commands that wait for their replies."""
        return len(self._pending)

    async def create(self) -> None:
        """Create the galleries."""
        for gallery in self._galleries:
            await self._put("CreateGallery", gallery, {})

    async def send(self, rate: float) -> None:
        """Send this number of commands a second until cancelled. What is late is made up for."""
        begun, count = time.monotonic(), 0
        while True:
            while count < (time.monotonic() - begun) * rate:
                await self.send_one()
                count += 1
            await asyncio.sleep(TICK_SECONDS)

    async def send_one(self) -> None:
        """Send the next command: a creation, a change or a deletion of an item."""
        gallery = self._galleries[self.sent % GALLERIES]
        items, turn = self._items[gallery], self.sent // GALLERIES % 3
        if turn == 0 or not items:
            command_id = await self._put("CreateItems", gallery, {"items": [TEXT]})
            items.append(derived_item_id(SITE, command_id, 0, SOURCE))
        elif turn == 1 or len(items) < ITEMS:
            await self._put("UpdateItem", gallery, {"itemId": items[-1], "item": {"title": str(self.sent)}})
        else:
            await self._put("DeleteItems", gallery, {"itemIds": [items.popleft()]})

    async def read_replies(self, consumer: AIOKafkaConsumer) -> None:
        """Note replies until cancelled. Raises AssertionError if a command is rejected."""
        while True:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                now = time.monotonic()
                for record in records:
                    sent_at = self._pending.pop(record.key.decode(), None)
                    if sent_at is not None:
                        self.done.append(Done(sent_at - self._started, now - sent_at))
                        assert orjson.loads(record.value)["outcome"] == "accepted", record.value

    async def until_answered(self, deadline_seconds: float) -> None:
        """Wait until all commands are answered."""
        async with asyncio.timeout(deadline_seconds):
            while self._pending:
                await asyncio.sleep(0.02)

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    async def _put(self, name: str, gallery: str, data: dict[str, object]) -> str:
        command_id = str(uuid.uuid4())
        self._pending[command_id] = time.monotonic()
        value = structured(name, {"galleryId": gallery, **data}, id=command_id)
        await self._producer.send(self._topic, value, key=gallery.encode())
        self.sent += 1
        return command_id


def percentiles(done: Sequence[Done], since: float, until: float) -> tuple[float, float]:
    """The 50th and the 99th percentile of the seconds of commands that were sent between these seconds."""
    cuts = quantiles([one.seconds for one in done if since <= one.at < until], n=100)
    return cuts[49], cuts[98]


@contextlib.asynccontextmanager
async def steady_state(installation: Installation) -> AsyncIterator[SteadyState]:
    """A load that has created its galleries, and reads its replies during the block. It sends nothing by itself."""
    bootstrap = installation.addresses.kafka_bootstrap
    consumer = AIOKafkaConsumer(installation.topics.replies, bootstrap_servers=bootstrap, group_id=None)
    await consumer.start()
    try:
        async with raw_producer(bootstrap, enable_idempotence=True) as producer:
            load = SteadyState(producer, installation.topics.commands)
            reading = asyncio.create_task(load.read_replies(consumer))
            try:
                await load.create()
                await load.until_answered(60)
                yield load
                if reading.done():
                    reading.result()
            finally:
                reading.cancel()
                await asyncio.wait({reading})
    finally:
        await consumer.stop()
