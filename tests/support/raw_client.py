"""An HTTP client that sends the given bytes, including header fields that libraries refuse."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any, cast

import httpx

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class RawRequest:
    """A request to send; the target is percent-encoded."""

    method: str
    target: str
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""

    def encoded(self) -> bytes:
        """The bytes on the wire; the connection is closed after the response."""
        fixed = ((b"Host", b"test"), (b"Connection", b"close"), (b"Content-Length", b"%d" % len(self.body)))
        fields = b"".join(b"%b: %b\r\n" % each for each in (*fixed, *self.headers))
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (self.method.encode(), self.target.encode(), fields, self.body)


class _Received:
    """The bytes that a connection received, in the form that `HTTPResponse` expects."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)


async def ask(host: str, port: int, request: RawRequest) -> httpx.Response:
    """The complete response. Raises OSError, TimeoutError, or HTTPException if the bytes are not a response."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(request.encoded())
            received = await reader.read()
        finally:
            writer.close()
    response = HTTPResponse(cast("Any", _Received(received)), method=request.method)
    response.begin()
    return httpx.Response(response.status, headers=list(response.headers.items()), content=response.read())
