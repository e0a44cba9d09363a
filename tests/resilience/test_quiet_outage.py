"""While Kafka is away, services say so once, and wait without working."""

import asyncio
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
from tests.support.late_port import LatePort
from tests.support.own_servers import OwnServers
from tests.support.plain_http import NO_TLS
from tests.support.servers import service
from tests.support.waiting import eventually
from triptych.devstack.addresses import Addresses
from triptych.gateway.access.keys import Scope, store_key

OUTAGE_SECONDS = 10.0
LINES_MAX, CPU_SHARE_MAX = 60, 0.25
SERVICES = ("command", "projector", "webhooks", "gateway")
KEY = "quiet-key"


@pytest.fixture
def stack(servers: OwnServers) -> Addresses:
    """Servers whose Kafka can be away."""
    return servers.addresses_cut_off


@pytest.fixture
async def kafka(servers: OwnServers) -> AsyncIterator[LatePort]:
    """The only way to that Kafka."""
    async with servers.way_to_kafka() as port:
        yield port


@pytest.fixture
async def installation(kafka: LatePort, installation: Installation) -> Installation:
    """An installation there."""
    await store_key(installation.database, KEY, site_id=None, scopes=list(Scope), name="quiet")
    return installation


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


@pytest.mark.xdist_group("own-servers")
async def test_services_are_quiet_and_idle_while_kafka_is_away(
    installation: Installation, kafka: LatePort, tmp_path: Path
) -> None:
    with ExitStack() as ending:
        secrets = Fernet.generate_key().decode()
        started = {
            name: ending.enter_context(service(installation, tmp_path, name, secrets_key=secrets)) for name in SERVICES
        }

        async def are_ready() -> bool:
            return all([await one.is_ready() for one in started.values()])

        async def has_noticed() -> bool:
            return not await started["gateway"].is_ready()

        await eventually(are_ready, "all services are ready", deadline_seconds=60)
        await put_load(installation)
        async with kafka.closed():
            before = {name: (len(lines_of(tmp_path, name)), one.cpu_seconds) for name, one in started.items()}
            began = time.monotonic()
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
