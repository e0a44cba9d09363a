"""Sends commands over Kafka and over HTTP at a steady rate, and remembers when each was acknowledged and answered."""

import asyncio
import contextlib
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.support.commands import TEXT, structured
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.plain_http import NO_TLS
from triptych.gateway.api.examples import DEV_KEY

CLIENT = {"metadata_max_age_ms": 2_000, "request_timeout_ms": 4_000}
"""Options of the Kafka clients. With aiokafka's own, they would wait for a silent broker for 40 s."""
BATCH_BYTES = 512 * 1024
"""Commands of an outage wait in the producer. What does not fit into a batch is refused after its timeout."""
INTERVAL_SECONDS = 0.1
"""Between two commands of one way."""
REQUEST_SECONDS = 25.0
"""A request that gets no response is sent again, with the same idempotency key."""


@dataclass
class Sent:
    """A command that adds an item; times are those of `time.monotonic`."""

    gallery_id: str
    title: str
    at: float
    acknowledged: bool = False
    """Kafka has acknowledged the record, or a gateway has answered the request with success."""
    answered_at: float | None = None
    """When its reply was read from the topic of replies, or the response of its gateway."""
    outcome: str = ""
    refusals: list[str] = field(default_factory=list)
    """Why requests were sent again."""

    @property
    def seconds(self) -> float:
        """From sending to the answer."""
        assert self.answered_at is not None, f"{self.title} was not answered"
        return self.answered_at - self.at


class SteadyLoad:
    """A load on galleries that exist: some get commands over Kafka alone, the others over HTTP alone."""

    def __init__(self, installation: Installation, gateways: Callable[[], Sequence[str]]) -> None:
        """`gateways` gives the addresses that are tried one after the other."""
        self.by_topic: dict[str, Sent] = {}
        """By the id of the command."""
        self.by_http: list[Sent] = []
        self._commands = installation.topics.commands
        self._gateways = gateways
        self._pending: set[asyncio.Task[None]] = set()

    def sent(self) -> list[Sent]:
        """All commands that were sent."""
        return [*self.by_topic.values(), *self.by_http]

    async def finish(self, deadline_seconds: float) -> None:
        """Wait until every command is answered."""
        async with asyncio.timeout(deadline_seconds):
            await asyncio.gather(*self._pending)
            while any(sent.answered_at is None for sent in self.by_topic.values()):
                await asyncio.sleep(0.1)

    async def put_all(self, producer: AIOKafkaProducer, galleries: Sequence[str]) -> None:
        """Publish commands for these galleries in turn until cancelled."""
        for number, gallery_id in enumerate(itertools.cycle(galleries)):
            command_id = str(uuid.uuid4())
            sent = self.by_topic[command_id] = Sent(gallery_id, f"topic {number}", time.monotonic())
            data = {"galleryId": gallery_id, "items": [{**TEXT, "title": sent.title}]}
            value = structured("CreateItems", data, id=command_id)
            stored = await producer.send(self._commands, value, key=gallery_id.encode())
            self._keep(asyncio.create_task(_acknowledge(stored, sent)))
            await asyncio.sleep(INTERVAL_SECONDS)

    async def post_all(self, client: httpx.AsyncClient, galleries: Sequence[str]) -> None:
        """Post items to these galleries in turn until cancelled, also while earlier requests have no response."""
        for number, gallery_id in enumerate(itertools.cycle(galleries)):
            sent = Sent(gallery_id, f"http {number}", time.monotonic())
            self.by_http.append(sent)
            self._keep(asyncio.create_task(self._post(client, sent)))
            await asyncio.sleep(INTERVAL_SECONDS)

    async def read_replies(self, consumer: AIOKafkaConsumer) -> None:
        """Note replies until cancelled."""
        async for record in consumer:
            sent = self.by_topic.get(record.key.decode()) if record.key else None
            if sent is not None and sent.answered_at is None:
                sent.answered_at = time.monotonic()
                sent.outcome = json.loads(record.value)["outcome"]

    async def _post(self, client: httpx.AsyncClient, sent: Sent) -> None:
        """Post until a gateway answers with success, to another gateway after each failure."""
        headers = {"Authorization": DEV_KEY, "Idempotency-Key": str(uuid.uuid4())}
        body = {"item": {**TEXT, "title": sent.title}}
        for attempt in itertools.count(len(self.by_http)):
            gateways = self._gateways()
            url = f"{gateways[attempt % len(gateways)]}/progallery/v2/galleries/{sent.gallery_id}/items"
            try:
                answer = await client.post(url, json=body, headers=headers)
            except httpx.TransportError as error:
                sent.refusals.append(type(error).__name__)
            else:
                if answer.is_success:
                    sent.answered_at, sent.acknowledged, sent.outcome = time.monotonic(), True, "accepted"
                    return
                sent.refusals.append(str(answer.status_code))
                assert answer.status_code in (503, 504), answer.text
            await asyncio.sleep(0.2)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._pending.add(task)
        task.add_done_callback(lambda done: self._pending.discard(done) if done.exception() is None else None)


async def _acknowledge(stored: asyncio.Future[object], sent: Sent) -> None:
    with contextlib.suppress(KafkaError):  # then it was not acknowledged
        await stored
        sent.acknowledged = True


@asynccontextmanager
async def steady_load(
    installation: Installation, gateways: Callable[[], Sequence[str]], by_topic: Sequence[str], by_http: Sequence[str]
) -> AsyncIterator[SteadyLoad]:
    """Load on these galleries during the block; afterwards replies are read until `finish`, which the block awaits."""
    bootstrap = installation.addresses.kafka_bootstrap
    load = SteadyLoad(installation, gateways)
    consumer = AIOKafkaConsumer(installation.topics.replies, bootstrap_servers=bootstrap, group_id=None, **CLIENT)
    await consumer.start()
    try:
        async with (
            raw_producer(bootstrap, enable_idempotence=True, max_batch_size=BATCH_BYTES, **CLIENT) as producer,
            httpx.AsyncClient(timeout=REQUEST_SECONDS, verify=NO_TLS) as client,
        ):
            tasks = [
                asyncio.create_task(load.put_all(producer, by_topic)),
                asyncio.create_task(load.post_all(client, by_http)),
            ]
            reading = asyncio.create_task(load.read_replies(consumer))
            yield load
            for task in tasks:
                task.cancel()
            await load.finish(60)
            reading.cancel()
            await asyncio.gather(*tasks, reading, return_exceptions=True)
    finally:
        await consumer.stop()
