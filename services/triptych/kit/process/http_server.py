"""The HTTP server of every process: uvicorn with `BoundedProtocol` for its connections."""

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from triptych.kit.process.http_bounds import Bounds, Connections, Refusal, plain_refusal
from triptych.kit.process.http_protocol import LINGER_SECONDS, BoundedProtocol


class Server(uvicorn.Server):
    """uvicorn's server without its signal handling, which raises the signal again before our resources are closed."""

    def __init__(self, config: uvicorn.Config, handshake_seconds: float) -> None:
        """`handshake_seconds` is the time of a client for the handshake of TLS."""
        super().__init__(config)
        self._handshake_seconds = handshake_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. With TLS not by uvicorn's own method, which gives each client a minute for the handshake."""
        config = self.config
        if config.ssl is None:
            await super().startup(sockets)
            return
        make_protocol: Callable[..., asyncio.Protocol] = config.http_protocol_class
        listen = partial(
            asyncio.get_running_loop().create_server,
            lambda: make_protocol(config=config, server_state=self.server_state, app_state=self.lifespan.state),
            ssl=config.ssl,
            backlog=config.backlog,
            ssl_handshake_timeout=self._handshake_seconds,
            ssl_shutdown_timeout=LINGER_SECONDS,
        )
        try:
            if sockets is None:
                self.servers = [await listen(config.host, config.port)]
            else:
                self.servers = [await listen(sock=one) for one in sockets]
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
) -> Server:
    """Make a server, of HTTPS alone if there is `tls`. Not started."""
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
    return Server(config, bounds.head_seconds)
