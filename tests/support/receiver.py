"""A real HTTP receiver of webhooks, with scripted responses for each request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import TypeAlias

from aiohttp import web

from tests.support.waiting import eventually


@dataclass(frozen=True)
class Received:
    """One request, with its time on the event loop's clock."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        """The id in Standard Webhooks' header."""
        return self.headers["webhook-id"]


Behaviour: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


def status(code: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer with a status."""

    async def behave(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=code, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return behave


async def hang(request: web.Request) -> web.StreamResponse:
    """Accept the request and never answer, until the client disconnects."""
    await asyncio.get_running_loop().create_future()
    return web.Response()


async def reset(request: web.Request) -> web.StreamResponse:
    """Break the connection instead of answering."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def drip(first: int) -> Behaviour:
    """Answer with a status, and then with single bytes at intervals, without end."""

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=first)
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.05)

    return behave


class Receiver:
    """The requests that have come, and the responses: the scripted behaviours in order, then the usual one."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.script: list[Behaviour] = []
        self.usual: Behaviour = status(200)
        self.is_keeping = True
        """Whether `requests` grows. A test that gets very many notes what it needs in a behaviour."""
        self.port = 0

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        """An address to subscribe."""
        return f"http://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        """The requests to one path."""
        return [request for request in self.requests if request.path == path]

    async def until(self, count: int, path: str = "/hook", *, deadline_seconds: float = 20.0) -> list[Received]:
        """The requests to a path, once there are `count`."""

        async def are_there() -> bool:
            return len(self.at(path)) >= count

        what = f"{count} requests to {path}, there are {len(self.at(path))}"
        await eventually(are_there, what, deadline_seconds=deadline_seconds)
        return self.at(path)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Note a request and answer it."""
        body = await request.read()
        if self.is_keeping:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.requests.append(Received(request.path, headers, body, asyncio.get_running_loop().time()))
        behave = self.script.pop(0) if self.script else self.usual
        return await behave(request)


@asynccontextmanager
async def open_receiver(ssl: SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runner.cleanup(), 5)
