"""An HTTP server that answers each request with given bytes, and keeps the requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network


class RawServer:
    """Answers every request with `answer`, which may be changed between requests."""

    def __init__(self, answer: bytes, *, stays_open: bool) -> None:
        self.answer = answer
        self.stays_open = stays_open
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    @property
    def targets(self) -> list[str]:
        """The targets of the requests, in order."""
        return [request.split(b" ", 2)[1].decode() for request in self.requests]

    def url(self, path: str = "/hook") -> str:
        """The address of a path on this server."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
                body = await reader.readexactly(int(fields[b"content-length"]))
                self.requests.append(head + body)
                writer.write(self.answer)
                await writer.drain()
                if not self.stays_open:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def open_raw_server(answer: bytes, *, stays_open: bool = False) -> AsyncIterator[RawServer]:
    """A server on a free port of loopback that answers with `answer`."""
    raw = RawServer(answer, stays_open=stays_open)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()


LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
