"""Posts over HTTP/1.1: one request at a time on a connection, no redirects, no proxies, certificates verified."""

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

# Shorter than what common servers grant (Node: 5 s), so that a POST seldom meets a connection about to be closed.
KEEP_ALIVE_SECONDS = 3.0
USER_AGENT = "Triptych-Webhooks/1"
# How long a TLS connection that is not used again may take to say goodbye.
GOODBYE_SECONDS = 1.0


class NotHttp(Exception):
    """What came back is no answer; the message says what is wrong with it."""


class Connection(asyncio.Protocol):
    """One connection; between requests, anything that comes ends it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reading: ResponseReader | None = None
        self._done: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._reading is None:
            self.close()
            return
        self._reading.feed(data)
        if self._reading.is_done:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.is_open = False
        self._error = exc
        self._wake()

    async def exchange(self, request: bytes, reading: ResponseReader) -> None:
        """Send a request and read until its answer is done or the connection ends."""
        assert self._transport is not None  # noqa: S101
        self._reading = reading
        self._done = asyncio.get_running_loop().create_future()
        try:
            if self.is_open:
                self._transport.write(request)
                await self._done
            if not reading.is_done:
                reading.end()
                if reading.status is None and reading.problem is None:
                    raise self._error or ConnectionResetError("the connection ended without an answer")
        finally:
            self._reading = self._done = None

    def close(self) -> None:
        """End the connection."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def _wake(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)


class Client:
    """Posts to receivers; use it as a context, where the event loop runs. Certificates are always verified."""

    def __init__(self, allowed: Sequence[Network], names: Resolver, answer_bytes: int) -> None:
        """Connect to public addresses and `allowed` networks; of an answer's body keep `answer_bytes`."""
        self._allowed = allowed
        self._names = names
        self._answer_bytes = answer_bytes
        self._tls = ssl.create_default_context()
        self._idle: dict[Origin, list[tuple[float, Connection]]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        for kept in self._idle.values():
            for _, connection in kept:
                connection.close()
        self._idle.clear()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> ResponseReader:
        """Post once, and read the answer as far as it is of use.

        Args:
            url: of the receiver, see `target_of`.
            headers: of the request, besides those that the connection needs.
            body: of the request.
            seconds: the deadline for everything, from the look-up of the name to the last byte read.

        Returns:
            The answer, which has a status.

        Raises:
            ForbiddenAddress: it leads where deliveries must not go; nothing was dialled.
            NotHttp: what came back is no answer.
            TimeoutError: no status line came in time.
            OSError: the name, the connection or TLS failed, see `NameNotResolved` and `ssl.SSLError`.
            ValueError: the address or a header cannot be sent.
        """
        target = target_of(url)
        request = _request(target, headers, body)
        reading = ResponseReader(self._answer_bytes)
        connection: Connection | None = None
        try:
            async with asyncio.timeout(seconds):
                connection = self._take(target.origin) or await self._open(target.origin, seconds)
                await connection.exchange(request, reading)
        except (TimeoutError, OSError):
            # The status is the answer; a body that drips or breaks off does not change it.
            if reading.status is None:
                raise
        finally:
            if connection is not None:
                if reading.is_reusable and connection.is_open:
                    self._keep(target.origin, connection)
                else:
                    connection.close()
        if reading.status is None:
            raise NotHttp(reading.problem or "the answer has no status line")
        return reading

    async def _open(self, origin: Origin, seconds: float) -> Connection:
        literal = literal_address(origin.host)
        if literal is None and is_number(origin.host):
            raise ForbiddenAddress(
                f"{origin.host} is another spelling of an IP address. Write the address as usual, and allow its "
                f"network in {SETTING} if it is not public."
            )
        addresses = (literal,) if literal else await self._names.addresses(origin.host, seconds)
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
                ssl_shutdown_timeout=GOODBYE_SECONDS,
            )
        except BaseException:
            dialled.close()
            raise
        return connection

    def _take(self, origin: Origin) -> Connection | None:
        kept = self._idle.get(origin)
        now = asyncio.get_running_loop().time()
        while kept:
            until, connection = kept.pop()
            if connection.is_open and until > now:
                return connection
            connection.close()
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        self._idle.setdefault(origin, []).append((loop.time() + KEEP_ALIVE_SECONDS, connection))
        if self._sweeping is None:
            self._sweeping = loop.call_later(KEEP_ALIVE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for origin, kept in list(self._idle.items()):
            for until, connection in kept:
                if until <= now:
                    connection.close()
            self._idle[origin] = [one for one in kept if one[1].is_open]
            if not self._idle[origin]:
                del self._idle[origin]
        self._sweeping = loop.call_later(KEEP_ALIVE_SECONDS, self._sweep) if self._idle else None


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
