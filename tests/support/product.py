"""The whole product in this process, with its gateway on a real port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from tests.support.documented import check_status
from tests.support.installation import Installation
from tests.support.plain_http import NO_TLS, listening_socket
from triptych.command.app import compose as compose_command
from triptych.command.settings import CommandSettings
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.app import compose as compose_gateway
from triptych.gateway.http.errors import server_refusal
from triptych.gateway.settings import GatewaySettings
from triptych.kit.process.http_server import make_server
from triptych.kit.process.settings import KitSettings
from triptych.projector.app import compose as compose_projector
from triptych.projector.settings import ProjectorSettings

KEY = "product-key"
"""A key for every site and scope."""


@dataclass(frozen=True)
class ServedGateway:
    """Where a gateway is, in whatever process, and a client of it with `KEY`."""

    address: str
    client: httpx.AsyncClient


@dataclass(frozen=True)
class Gateway(ServedGateway):
    """A gateway in this process."""

    app: FastAPI


def client_of(address: str) -> httpx.AsyncClient:
    """A client with `KEY`, whose paths begin after the prefix, with `/v2`.

    It raises AssertionError for a response whose status is not documented.
    """
    return httpx.AsyncClient(
        base_url=f"{address}/progallery",
        headers={"Authorization": KEY},
        timeout=60,
        verify=NO_TLS,
        event_hooks={"response": [check_status]},
    )


@asynccontextmanager
async def running_gateway(installation: Installation, **fields: object) -> AsyncIterator[Gateway]:
    """Run a gateway only."""
    await store_key(installation.database, KEY, site_id=None, scopes=list(Scope), name="tests")
    async with compose_gateway(installation.settings(GatewaySettings, **fields)) as app:
        listener = listening_socket()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        bounds = KitSettings().http_bounds()
        server = make_server(app, bounds, host="127.0.0.1", port=0, graceful_seconds=5, refusal=server_refusal)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with client_of(address) as client:
                yield Gateway(address, client, app)
        finally:
            app.state.gateway.streams.end()
            server.should_exit = True
            await serving


@asynccontextmanager
async def running_command_service(installation: Installation, **fields: object) -> AsyncIterator[None]:
    """Run the command service."""
    async with compose_command(installation.settings(CommandSettings, **fields)):
        yield


@asynccontextmanager
async def running_projector(installation: Installation, **fields: object) -> AsyncIterator[None]:
    """Run the projector."""
    async with compose_projector(installation.settings(ProjectorSettings, **fields)):
        yield


@asynccontextmanager
async def running_product(installation: Installation, **fields: object) -> AsyncIterator[Gateway]:
    """Run the command service, the projector with a history, and a gateway; the fields are settings of the gateway."""
    async with (
        running_command_service(installation),
        running_projector(installation, history_retention=86_400),
        running_gateway(installation, **fields) as gateway,
    ):
        yield gateway
