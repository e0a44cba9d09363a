"""A listener that counts and responds as fast as it can, so that the sender is measured.

Usage: `python -m benchmarks.baselines.webhooks_receiver PORT`. `GET /` responds with the counts as JSON.
"""

import asyncio
import sys
import time

import orjson
import uvloop

from benchmarks.baselines.floor_http import Protocol

# Connections that wait to be accepted. If 500 arrive at once, asyncio's own 100 let Linux drop some, and the sender's
# kernel tries those again after a second.
BACKLOG = 4_096
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Counts:
    """The deliveries received: times in seconds on the monotonic clock, and a hash of each delivery by path."""

    def __init__(self) -> None:
        self.first = self.last = 0.0
        self.total = 0
        self.seen: set[tuple[bytes, int]] = set()

    def add(self, path: bytes, body: bytes) -> None:
        """Count a POST. Requests with the same body to the same path are one delivery."""
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.total += 1
        self.seen.add((path, hash(body)))

    def to_json(self) -> bytes:
        """The counts as JSON."""
        return orjson.dumps({"total": self.total, "distinct": len(self.seen), "seconds": self.last - self.first})


class Connection(Protocol):
    """A minimal HTTP/1.1 connection, for clients that send a Content-Length."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self._counts = counts

    def received(self, head: bytes, body: bytes) -> None:
        """Respond to a request."""
        method, path, _ = head.split(b" ", 2)
        if method == b"POST":
            self._counts.add(path, body)
            self._transport.write(ANSWER)
        else:
            content = self._counts.to_json()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))


async def main(port: int) -> None:
    """Serve until killed."""
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(counts), "127.0.0.1", port, backlog=BACKLOG
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
