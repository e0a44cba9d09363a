"""The main job on real servers: commands over Kafka and HTTP become replies, events, the join, and answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.main_job import send_commands_as_a_stranger, send_requests
from triptych.command.app import compose as compose_command
from triptych.command.settings import CommandSettings
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.app import compose as compose_gateway
from triptych.gateway.settings import GatewaySettings
from triptych.projector.app import compose as compose_projector
from triptych.projector.settings import ProjectorSettings

KEY = "e2e-key"


@asynccontextmanager
async def running(installation: Installation, **fields: object) -> AsyncIterator[httpx.AsyncClient]:
    """All three services, and a client of the gateway."""
    await store_key(installation.database, KEY, site_id=None, scopes=list(Scope), name="e2e")
    async with (
        compose_command(installation.settings(CommandSettings, **fields)),
        compose_projector(installation.settings(ProjectorSettings, **fields)),
        compose_gateway(installation.settings(GatewaySettings, **fields)) as app,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://gateway/progallery", headers={"Authorization": KEY}
        ) as client,
    ):
        yield client


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_commands_of_a_stranger(installation: Installation, driver: str) -> None:
    async with running(installation, mongo_driver=driver) as client:
        await send_commands_as_a_stranger(installation.addresses.kafka_bootstrap, installation.topics, client)


async def test_the_same_over_http(installation: Installation) -> None:
    async with running(installation) as client:
        await send_requests(installation.addresses.kafka_bootstrap, installation.topics, client)


async def test_another_site_sees_nothing(installation: Installation) -> None:
    async with running(installation) as client:
        created = (await client.post("/v2/galleries", headers={"wix-site-id": "red"})).json()["gallery"]
        assert (await client.get(f"/v2/galleries/{created['id']}", headers={"wix-site-id": "red"})).status_code == 200
        path = f"/v2/galleries/{created['id']}"
        assert (await client.get(path, headers={"wix-site-id": "blue"})).status_code == 404
        refused = await client.post(f"{path}/items", json={"item": TEXT}, headers={"wix-site-id": "blue"})
        assert refused.status_code == 404
        listed = (await client.get("/v2/galleries", headers={"wix-site-id": "blue"})).json()
        assert listed == {"totalGalleries": 0, "galleries": []}
