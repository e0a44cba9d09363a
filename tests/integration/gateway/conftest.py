"""A gateway on a real port, and what stands behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import httpx
import pytest
from fastapi import FastAPI

from tests.integration.gateway.backend import Backend, open_backend
from tests.support.installation import Installation
from triptych.gateway.access.keys import store_key
from triptych.gateway.api.dependencies import GatewayState
from triptych.gateway.app import compose
from triptych.gateway.http.errors import refusal_body
from triptych.gateway.settings import GatewaySettings
from triptych.kit.process.http_server import make_server

KEY = "test-key"
GALLERIES = "/progallery/v2/galleries"


@dataclass(frozen=True)
class Door:
    """A running gateway and a client with a key for any site."""

    app: FastAPI
    client: httpx.AsyncClient
    port: int

    @property
    def parts(self) -> GatewayState:
        """The parts of the gateway."""
        parts: GatewayState = self.app.state.parts
        return parts

    def assert_nothing_waits(self) -> None:
        """No request has left anything behind."""
        assert len(self.parts.heads) == 0
        assert len(self.parts.writes.replies) == 0


OpenDoor: TypeAlias = Callable[..., AbstractAsyncContextManager[Door]]


@pytest.fixture
def open_door(installation: Installation) -> OpenDoor:
    """Starts a gateway with settings of its own."""

    @asynccontextmanager
    async def start(**fields: object) -> AsyncIterator[Door]:
        await store_key(installation.database, KEY, site_id=None, scopes=["read", "manage"], name="tests")
        async with compose(installation.settings(GatewaySettings, **fields)) as app:
            listener = socket.create_server(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            bounds = installation.settings(GatewaySettings).http_bounds()
            server = make_server(app, bounds, host="127.0.0.1", port=0, graceful_seconds=5, refusal=refusal_body)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                async with httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{port}", headers={"Authorization": KEY}, timeout=30
                ) as client:
                    yield Door(app, client, port)
            finally:
                server.should_exit = True
                await serving

    return start


@pytest.fixture
async def door(open_door: OpenDoor) -> AsyncIterator[Door]:
    """A gateway with default settings."""
    async with open_door() as opened:
        yield opened


@pytest.fixture
async def backend(installation: Installation) -> AsyncIterator[Backend]:
    """What stands behind the gateway; it does nothing unasked."""
    async with open_backend(installation) as opened:
        yield opened
