"""A gateway by itself, with a client that has a key."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import httpx
import pytest
from fastapi import FastAPI

from tests.support.installation import Installation
from tests.support.plain_http import NO_TLS, listening_socket
from triptych.gateway.access.keys import store_key
from triptych.gateway.api.dependencies import GatewayState
from triptych.gateway.app import compose
from triptych.gateway.http.errors import server_refusal
from triptych.gateway.settings import GatewaySettings
from triptych.kit.process.http_server import make_server

KEY = "test-key"
GALLERIES = "/progallery/v2/galleries"


@dataclass(frozen=True)
class RunningGateway:
    """A running gateway, and a client with a key for any site."""

    app: FastAPI
    client: httpx.AsyncClient
    port: int

    @property
    def state(self) -> GatewayState:
        """The components of the gateway."""
        state: GatewayState = self.app.state.gateway
        return state

    @property
    def reply_topic(self) -> str:
        """The topic on which this gateway reads replies."""
        return self.state.writes.reply_topic

    def assert_nothing_waits(self) -> None:
        """Check that no request waits for a gallery or a reply."""
        assert len(self.state.gallery_waiters) == 0
        assert len(self.state.writes.replies) == 0


StartGateway: TypeAlias = Callable[..., AbstractAsyncContextManager[RunningGateway]]


@asynccontextmanager
async def running_gateway(installation: Installation, **fields: object) -> AsyncIterator[RunningGateway]:
    """A gateway with settings of its own, and its key."""
    await store_key(installation.database, KEY, site_id=None, scopes=["read", "manage"], name="tests")
    async with compose(installation.settings(GatewaySettings, **fields)) as app:
        listener = listening_socket()
        port = listener.getsockname()[1]
        bounds = installation.settings(GatewaySettings).http_bounds()
        server = make_server(app, bounds, host="127.0.0.1", port=0, graceful_seconds=5, refusal=server_refusal)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers={"Authorization": KEY}, timeout=30, verify=NO_TLS
            ) as client:
                yield RunningGateway(app, client, port)
        finally:
            server.should_exit = True
            await serving


def shared(name: str) -> list[pytest.MarkDecorator]:
    """Marks of a module: its tests use the fixtures' event loop, on one worker."""
    return [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group(name)]
