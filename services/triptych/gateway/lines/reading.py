"""Reads the chunks of a request while they arrive, within bounds of size and time."""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.requests import ClientDisconnect, Request

from triptych.gateway.http.decoding import decoder_of
from triptych.gateway.http.errors import RETRY_AFTER, ApplicationFailure, HttpFailure
from triptych.gateway.lines.chunking import Chunk, Chunker, chunks_of
from triptych.gateway.lines.splitting import LineSplitter
from triptych.gateway.settings import GatewaySettings
from triptych.kit.process.http_protocol import LONG_BODY
from triptych.kit.process.stopping import is_stopping

MEDIA_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_POLL_SECONDS = 0.5
_LENGTH_DIGITS_MAX = 18


class ChunkReader:
    """Reads the chunks of one request."""

    def __init__(self, request: Request, settings: GatewaySettings) -> None:
        """Check the headers of the request.

        Raises:
            ApplicationFailure: 413 for a declared size beyond the limit; 415 for another media type than lines of JSON,
                or an unknown content encoding.
        """
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in MEDIA_TYPES:
            raise ApplicationFailure(415, "INVALID_ARGUMENT", f"the body must be {MEDIA_TYPES[0]}")
        self._bytes_max = settings.gateway_lines_bytes
        self._lines_max = settings.gateway_lines_count
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > _LENGTH_DIGITS_MAX or int(declared) > self._bytes_max):
            raise self._too_large()
        self._seconds = settings.gateway_lines_timeout.total_seconds()
        self._deadline = asyncio.get_running_loop().time() + self._seconds
        self._decoder = decoder_of(request.headers.getlist("content-encoding"))
        self._receive = request.receive
        extension = request.scope.get("extensions", {}).get(LONG_BODY, {})
        self._renew: Callable[[], None] = extension.get("renew", lambda: None)

    async def chunks(self) -> AsyncIterator[Chunk]:
        """The chunks, each as soon as its lines have arrived.

        An interrupted body ends with its last complete chunk: an incomplete one would differ when it is repeated.

        Raises:
            ClientDisconnect: the client has gone before the end of the body.
            InvalidRequest: the body is not gzip as declared.
            ApplicationFailure: 413 or 408, there are too many lines or bytes, or the time is up.
            HttpFailure: 503, the process stops.
        """
        splitter, chunker, size = LineSplitter(), Chunker(), 0
        async for piece in self._pieces():
            for data in self._decoder.decode(piece):
                # Lines up to the limit are read, however the bytes arrive: a repetition must have the same chunks.
                room = self._bytes_max - size
                size += len(data)
                for line in splitter.feed(data[:room]):
                    if line.number > self._lines_max:
                        for chunk in chunker.finish():
                            yield chunk
                        raise ApplicationFailure(
                            413,
                            "RESOURCE_EXHAUSTED",
                            f"the body must have at most {self._lines_max} lines; send the others in another request",
                            {"threshold": self._lines_max},
                        )
                    for chunk in chunker.add(line):
                        yield chunk
                        self.go_on()
                if size > self._bytes_max:
                    raise self._too_large()
            await asyncio.sleep(0)  # let other requests run
        self._decoder.check_end()
        for chunk in chunks_of(splitter.finish(), chunker):
            yield chunk
        for chunk in chunker.finish():
            yield chunk

    def go_on(self) -> None:
        """Give the client its time for the next part of the body, and the process a chance to stop."""
        self._renew()
        self._check_time()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    message = await self._receive()
            except TimeoutError:
                self._check_time()
                continue
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            if body := message.get("body"):
                yield body
            if not message.get("more_body", False):
                return

    def _check_time(self) -> None:
        if is_stopping():
            raise HttpFailure(503, RETRY_AFTER)
        if asyncio.get_running_loop().time() > self._deadline:
            text = f"the request took longer than {self._seconds:.0f} s: repeat it with the same Idempotency-Key"
            raise ApplicationFailure(408, "DEADLINE_EXCEEDED", text)

    def _too_large(self) -> ApplicationFailure:
        text = f"the body must be at most {self._bytes_max} bytes; send several requests"
        return ApplicationFailure(413, "RESOURCE_EXHAUSTED", text, {"threshold": self._bytes_max})
