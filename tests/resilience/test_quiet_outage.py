"""While Kafka is away, services say so once, and wait without working."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from tests.support.commands import TEXT, structured
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.own_kafka import OwnKafka
from tests.support.plain_http import NO_TLS
from tests.support.servers import pids_of, service
from tests.support.waiting import eventually
from triptych.devstack.processes import processes_missing
from triptych.devstack.stack import Addresses
from triptych.gateway.access.keys import Scope, store_key
from triptych.kit.mongo.driver import open_database
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.provision import ensure_topics

OUTAGE_SECONDS = 10.0
LINES_MAX, CPU_SHARE_MAX = 60, 0.25
SERVICES = ("command", "projector", "webhooks", "gateway")
KEY = "quiet-key"


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[OwnKafka]:
    """A broker of this test's own."""
    if lacks := processes_missing(os.environ):
        pytest.skip(f"needs a broker of its own: {lacks[0]}")
    broker = OwnKafka(tmp_path)
    await asyncio.to_thread(broker.start)
    try:
        yield broker
    finally:
        await asyncio.to_thread(broker.stop)


@pytest.fixture
async def installation(stack: Addresses, kafka: OwnKafka) -> AsyncIterator[Installation]:
    """Topics on the own broker, a database on the shared server."""
    name = f"t{uuid.uuid4().hex[:10]}"
    async with open_database(stack.mongo_uri, name) as database:
        made = Installation(Addresses(kafka.bootstrap, stack.mongo_uri, stack.provider), name, database)
        await ensure_topics(made.settings(KitSettings), made.topic_specs)
        await store_key(database, KEY, site_id=None, scopes=list(Scope), name="quiet")
        try:
            yield made
        finally:
            await database.client.drop_database(name)


async def put_load(installation: Installation) -> None:
    """More than a thousand commands, so that the outage finds every service at work."""
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        galleries = [str(uuid.uuid4()) for _ in range(20)]
        for gallery_id in galleries:
            await producer.send(
                installation.topics.commands,
                structured("CreateGallery", {"galleryId": gallery_id}),
                key=gallery_id.encode(),
            )
        for number in range(1_500):
            gallery_id = galleries[number % len(galleries)]
            value = structured("CreateItems", {"galleryId": gallery_id, "items": [TEXT] * 10})
            await producer.send(installation.topics.commands, value, key=gallery_id.encode())


async def test_services_are_quiet_and_idle_while_kafka_is_away(installation: Installation, tmp_path: Path) -> None:
    with ExitStack() as ending:
        secrets = Fernet.generate_key().decode()
        started = {
            name: ending.enter_context(service(installation, tmp_path, name, secrets_key=secrets)) for name in SERVICES
        }

        async def are_ready() -> bool:
            return all([await one.is_ready() for one in started.values()])

        await eventually(are_ready, "all services are ready", deadline_seconds=60)
        await put_load(installation)
        for pid in pids_of(tmp_path / "kafka"):
            os.kill(pid, signal.SIGKILL)
        before = {name: (len(lines_of(tmp_path, name)), one.cpu_seconds) for name, one in started.items()}
        began = time.monotonic()

        async def has_noticed() -> bool:
            return not await started["gateway"].is_ready()

        await eventually(has_noticed, "the gateway is not ready")
        async with httpx.AsyncClient(
            base_url=started["gateway"].address, headers={"Authorization": KEY}, verify=NO_TLS
        ) as client:
            asking = [asyncio.create_task(ask(client)) for _ in range(20)]
            # What is measured is a rate: processor time and lines of the log while nothing changes.
            await asyncio.sleep(OUTAGE_SECONDS)
            assert {task.result() for task in asking if task.done()} <= {503, 504}
            for task in asking:
                task.cancel()
        said = {name: lines_of(tmp_path, name)[before[name][0] :] for name in SERVICES}
        seconds = time.monotonic() - began
        used = {name: (one.cpu_seconds - before[name][1]) / seconds for name, one in started.items()}
        assert all(0 < len(lines) <= LINES_MAX for lines in said.values()), {n: len(v) for n, v in said.items()}
        assert all(share <= CPU_SHARE_MAX for share in used.values()), used
        # Not while the event loop waits for it: the driver would take MongoDB for lost.
        await asyncio.to_thread(ending.close)


async def ask(client: httpx.AsyncClient) -> int:
    """Write until an answer comes that is not about Kafka, as often as the gateway asks for."""
    while True:
        answer = await client.post("/progallery/v2/galleries", json={})
        if answer.status_code not in (503, 504):
            return answer.status_code
        await asyncio.sleep(float(answer.headers.get("retry-after", "1")))


def lines_of(directory: Path, name: str) -> list[str]:
    """What a service has written to its log so far."""
    (log,) = directory.glob(f"{name}-*.log")
    return log.read_text().splitlines()
