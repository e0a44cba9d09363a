"""The HTTP server of every process: uvicorn with `BoundedProtocol` for its connections."""

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import uvicorn
from starlette.types import ASGIApp

from triptych.kit.process.http_bounds import Bounds, Connections, Refusal, plain_refusal
from triptych.kit.process.http_protocol import LINGER_SECONDS, BoundedProtocol

Opening: TypeAlias = Callable[[], Awaitable[None]]


async def _at_once() -> None:
    """Listen without waiting for anything."""


class Server(uvicorn.Server):
    """uvicorn's server without its signal handling, which raises the signal again before our resources are closed."""

    def __init__(self, config: uvicorn.Config, handshake_seconds: float, opening: Opening) -> None:
        """`handshake_seconds` is the time of a client for the handshake of TLS; `opening` returns when to listen."""
        super().__init__(config)
        self._handshake_seconds = handshake_seconds
        self._opening = opening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take the port at once, and listen on it when it is time. Until then, a client is refused without waiting.

        Not by uvicorn's own method, which listens at once, and with TLS gives each client a minute for the handshake.
        """
        config = self.config
        make_protocol: Callable[..., asyncio.Protocol] = config.http_protocol_class
        of_tls: dict[str, Any] = (
            {}
            if config.ssl is None
            else {
                "ssl": config.ssl,
                "ssl_handshake_timeout": self._handshake_seconds,
                "ssl_shutdown_timeout": LINGER_SECONDS,
            }
        )
        bind = partial(
            asyncio.get_running_loop().create_server,
            lambda: make_protocol(config=config, server_state=self.server_state, app_state=self.lifespan.state),
            backlog=config.backlog,
            start_serving=False,
            **of_tls,
        )
        try:
            if sockets is None:
                self.servers = [await bind(config.host, config.port)]
            else:
                self.servers = [await bind(sock=one) for one in sockets]
            await self._opening()
            for server in self.servers:
                await server.start_serving()
        except OSError:
            sys.exit(1)  # as uvicorn's method does
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the process ends by returning."""
        yield


def make_server(
    app: ASGIApp,
    bounds: Bounds,
    *,
    host: str,
    port: int,
    graceful_seconds: int,
    refusal: Refusal = plain_refusal,
    tls: ssl.SSLContext | None = None,
    opening: Opening = _at_once,
) -> Server:
    """Make a server, of HTTPS alone if there is `tls`. Not started; when it is, it listens once `opening` returns."""
    open_connections = Connections(bounds.connections, bounds.connections_per_address)

    class Protocol(BoundedProtocol):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options, bounds=bounds, open_connections=open_connections, refusal=refusal)

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # uvicorn would believe X-Forwarded-For of any process on this machine, and read more addresses from
        # FORWARDED_ALLOW_IPS.
        proxy_headers=False,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        # uvicorn annotates whole seconds, but the event loop accepts fractions.
        timeout_keep_alive=bounds.idle_seconds,  # type: ignore[arg-type]
        timeout_graceful_shutdown=graceful_seconds,
    )
    return Server(config, bounds.head_seconds, opening)
