"""Posts over HTTP/1.1, one request at a time on each connection, without redirects or proxies."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self, cast

from triptych.webhooks.http.connector import connect
from triptych.webhooks.http.resolver import Resolver
from triptych.webhooks.http.responses import ResponseReader
from triptych.webhooks.http.targets import Origin, Target, is_number, literal_address, target_of
from triptych.webhooks.model.addresses import SETTING, ForbiddenAddress, Network

# Shorter than the keep-alive of common servers (Node: 5 s), so that they seldom close a connection during a POST.
KEEP_ALIVE_SECONDS = 3.0
USER_AGENT = "Triptych-Webhooks/1"
# How long the TLS shutdown of a connection may take.
TLS_SHUTDOWN_SECONDS = 1.0


class NotHttp(Exception):
    """The peer did not send an HTTP response. The message says what is wrong with its bytes."""


class Connection(asyncio.Protocol):
    """One connection. Bytes that arrive between requests close it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader: ResponseReader | None = None
        self._done: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not inherit from it
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._reader is None:
            self.close()
            return
        self._reader.feed(data)
        if self._reader.is_done:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.is_open = False
        self._error = exc
        self._wake()

    async def exchange(self, request: bytes, reader: ResponseReader) -> None:
        """Send a request, and read until the response is complete or the connection has ended."""
        assert self._transport is not None  # noqa: S101
        self._reader = reader
        self._done = asyncio.get_running_loop().create_future()
        try:
            if self.is_open:
                self._transport.write(request)
                await self._done
            if not reader.is_done:
                reader.end()
                if reader.status is None and reader.problem is None:
                    raise self._error or ConnectionResetError("the connection ended without a response")
        finally:
            self._reader = self._done = None

    def close(self) -> None:
        """End the connection."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def _wake(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)


class Client:
    """Posts to receivers and verifies their certificates. It is an async context manager."""

    def __init__(self, allowed: Sequence[Network], resolver: Resolver, answer_bytes: int) -> None:
        """Connect to public addresses and `allowed` networks. Keep the first `answer_bytes` bytes of a body."""
        self._allowed = allowed
        self._resolver = resolver
        self._answer_bytes = answer_bytes
        self._tls = ssl.create_default_context()
        self._idle: dict[Origin, list[tuple[float, Connection]]] = {}
        self._sweep_timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for idle in self._idle.values():
            for _, connection in idle:
                connection.close()
        self._idle.clear()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> ResponseReader:
        """Post once. Read the status, the header fields and the first bytes of the body.

        Args:
            url: of the receiver, see `target_of`.
            headers: of the request, without those that the connection needs.
            body: of the request.
            seconds: the deadline for the whole exchange, from the look-up of the name to the last byte read.

        Returns:
            The response. It has a status.

        Raises:
            ForbiddenAddress: deliveries must not go to the address; nothing was dialled.
            NotHttp: the peer did not send an HTTP response.
            TimeoutError: no status line arrived within the deadline.
            OSError: the look-up, the connection or TLS failed; see `NameNotResolved` and `ssl.SSLError`.
            ValueError: the URL or a header cannot be sent.
        """
        target = target_of(url)
        request = _request(target, headers, body)
        reader = ResponseReader(self._answer_bytes)
        connection: Connection | None = None
        try:
            async with asyncio.timeout(seconds):
                connection = self._pop_idle(target.origin) or await self._open(target.origin, seconds)
                await connection.exchange(request, reader)
        except (TimeoutError, OSError):
            # The status decides. A body that is slow or truncated does not change it.
            if reader.status is None:
                raise
        finally:
            if connection is not None:
                if reader.is_reusable and connection.is_open:
                    self._push_idle(target.origin, connection)
                else:
                    connection.close()
        if reader.status is None:
            raise NotHttp(reader.problem or "the response has no status line")
        return reader

    async def _open(self, origin: Origin, seconds: float) -> Connection:
        literal = literal_address(origin.host)
        if literal is None and is_number(origin.host):
            raise ForbiddenAddress(
                f"{origin.host} is another spelling of an IP address. Write the address as usual, and allow its "
                f"network in {SETTING} if it is not public."
            )
        addresses = (literal,) if literal else await self._resolver.addresses(origin.host, seconds)
        dialled = await connect(addresses, origin.port, self._allowed)
        loop = asyncio.get_running_loop()
        try:
            if not origin.is_tls:
                _, connection = await loop.create_connection(Connection, sock=dialled)
                return connection
            _, connection = await loop.create_connection(
                Connection,
                sock=dialled,
                ssl=self._tls,
                server_hostname=literal or origin.host.rstrip("."),
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
            )
        except BaseException:
            dialled.close()
            raise
        return connection

    def _pop_idle(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        now = asyncio.get_running_loop().time()
        while idle:
            until, connection = idle.pop()
            if connection.is_open and until > now:
                return connection
            connection.close()
        return None

    def _push_idle(self, origin: Origin, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        self._idle.setdefault(origin, []).append((loop.time() + KEEP_ALIVE_SECONDS, connection))
        if self._sweep_timer is None:
            self._sweep_timer = loop.call_later(KEEP_ALIVE_SECONDS, self._close_expired)

    def _close_expired(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for origin, idle in list(self._idle.items()):
            for until, connection in idle:
                if until <= now:
                    connection.close()
            self._idle[origin] = [entry for entry in idle if entry[1].is_open]
            if not self._idle[origin]:
                del self._idle[origin]
        self._sweep_timer = loop.call_later(KEEP_ALIVE_SECONDS, self._close_expired) if self._idle else None


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = {
        "Host": target.authority,
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Content-Length": str(len(body)),
        **headers,
    }
    for name, value in fields.items():
        if "\r" in value or "\n" in value or "\0" in value:
            raise ValueError(f"the header {name} must be one line")
    lines = [f"POST {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
