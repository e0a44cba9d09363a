"""Parses HTTP responses, purely: the status line decides, and nothing after it can change the status.

Receivers send responses that a strict parser rejects: heads of many kilobytes, spaces before a colon, two lengths,
a broken chunk, bytes that belong to no message. The status counts all the same (RFC 9110, section 15). After such a
flaw the connection is not used again.
"""

import re
from enum import Enum, auto

HEAD_MAX = 1024 * 1024
"""The largest size of all heads of one response, in bytes. The reader stops when they are larger."""
LINE_MAX = 8 * 1024
"""Bytes kept of one line. The rest of a longer line is skipped."""

# Any case of the name and any width of the gaps are accepted. The reason is optional.
_STATUS_LINE = re.compile(rb"(HTTP/[0-9]+(?:\.[0-9]+)?)[ \t]+([0-9]{3})(?![^ \t\r])", re.IGNORECASE)
_PROTOCOL = b"HTTP/"
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_WITHOUT_BODY = (204, 304)
_SWITCHING_PROTOCOLS = 101


class _State(Enum):
    STATUS = auto()
    FIELDS = auto()
    BODY = auto()
    CHUNKS = auto()
    DONE = auto()


class ResponseReader:
    """One response, read as its bytes arrive.

    Attributes:
        status: of the final response, once its status line has arrived. RFC 9110 defines 100 to 599.
        retry_after: the value of the header field, decoded as Latin-1 and not parsed.
        body: the first bytes of the body, without chunk framing.
        is_reusable: whether the response is complete and the connection may carry another request.
        problem: why there is no status, in words, if the bytes are not HTTP.
    """

    def __init__(self, body_max: int) -> None:
        self.status: int | None = None
        self.retry_after: str | None = None
        self.body = bytearray()
        self.is_reusable = False
        self.problem: str | None = None
        self._body_max = body_max
        self._state = _State.STATUS
        self._buffer = bytearray()
        self._received = 0
        self._is_informational = False
        self._may_be_reusable = True
        self._lengths: list[bytes] = []
        self._codings: list[bytes] = []
        self._remaining: int | None = None
        self._is_after_chunk = False
        self._is_in_trailer = False

    @property
    def is_done(self) -> bool:
        """Whether the reader needs no more bytes."""
        return self._state is _State.DONE

    def feed(self, data: bytes) -> None:
        """Read the next bytes."""
        if self._state is _State.BODY:
            self._read_body(data)
            return
        self._buffer += data
        if self._state in (_State.STATUS, _State.FIELDS):
            self._received += len(data)
            self._read_head()
        elif self._state is _State.CHUNKS:
            self._read_chunks()
        elif self._state is _State.DONE and self._buffer:
            self.is_reusable = False

    def end(self) -> None:
        """Note that the connection has ended. This ends a body without a length, and truncates any other body."""
        if self.is_done:
            return
        if self.status is None and self.problem is None:
            received = "an informational response" if self._is_informational else "the beginning of a response"
            self.problem = f"the connection ended after {received}" if self._received else None
        self._state = _State.DONE

    def _read_head(self) -> None:
        while self._state in (_State.STATUS, _State.FIELDS):
            if self._state is _State.STATUS and not self._may_be_http():
                self._give_up("the response is not HTTP/1")
                return
            line = self._pop_line()
            if line is None:
                if self._state is _State.STATUS and len(self._buffer) >= LINE_MAX:
                    self._read_status(bytes(self._buffer))
                if self._received > HEAD_MAX:
                    self._give_up("the head of the response is too large")
                return
            if self._state is _State.STATUS:
                if line:
                    self._read_status(line)
            elif line:
                self._read_field(line)
            elif self._is_informational:
                self._is_informational = False
                self._state = _State.STATUS
            else:
                self._begin_body()

    def _may_be_http(self) -> bool:
        start = bytes(self._buffer[: len(_PROTOCOL) + 4]).lstrip(b"\r\n")[: len(_PROTOCOL)]
        return _PROTOCOL.startswith(start.upper())

    def _pop_line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            del self._buffer[LINE_MAX:]
            return None
        line = bytes(self._buffer[: min(end, LINE_MAX)])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def _read_status(self, line: bytes) -> None:
        found = _STATUS_LINE.match(line)
        if found is None:
            self._give_up("the response has no status line")
            return
        status = int(found[2])
        self._state = _State.FIELDS
        if 100 <= status < 200 and status != _SWITCHING_PROTOCOLS:
            self._is_informational = True
            return
        self.status = status
        self._may_be_reusable = found[1].upper() == b"HTTP/1.1"
        if status == _SWITCHING_PROTOCOLS:
            self._finish()

    def _read_field(self, line: bytes) -> None:
        if self._is_informational:
            return
        name, colon, value = line.partition(b":")
        if not colon or line[:1] in (b" ", b"\t"):  # a folded line, or a line that is not a field
            self._may_be_reusable = False
            return
        value = value.strip()
        match name.strip().lower():
            case b"retry-after":
                self.retry_after = self.retry_after or value.decode("latin-1")
            case b"content-length":
                self._lengths += [length.strip() for length in value.split(b",")]
            case b"transfer-encoding":
                self._codings.append(value.lower())
            case b"connection":
                self._may_be_reusable &= b"close" not in value.lower()

    def _begin_body(self) -> None:
        received = bytes(self._buffer)
        self._buffer.clear()
        self._may_be_reusable &= not (self._codings and self._lengths)
        if self.status in _WITHOUT_BODY:
            self._remaining = 0
        elif self._codings == [b"chunked"]:
            self._state = _State.CHUNKS
            self._buffer += received
            self._read_chunks()
            return
        elif not self._codings and len(set(self._lengths)) == 1 and _LENGTH.fullmatch(self._lengths[0]):
            self._remaining = int(self._lengths[0])
        self._state = _State.BODY
        self._read_body(received)

    def _read_body(self, data: bytes) -> None:
        if self._remaining is None:
            self._keep(data)
        else:
            self._keep(data[: self._remaining])
            if len(data) >= self._remaining:
                self._finish(is_complete=len(data) == self._remaining)
                return
            self._remaining -= len(data)
        if len(self.body) >= self._body_max:
            self._finish()

    def _read_chunks(self) -> None:
        self._remaining = self._remaining or 0
        while self._state is _State.CHUNKS:
            if self._remaining:
                data = bytes(self._buffer[: self._remaining])
                del self._buffer[: self._remaining]
                self._keep(data)
                self._remaining -= len(data)
                if len(self.body) >= self._body_max:
                    self._finish()
                if self._remaining:
                    return
                self._is_after_chunk = True
                continue
            line = self._pop_line()
            if line is None:
                return
            self._read_chunk_line(line)

    def _read_chunk_line(self, line: bytes) -> None:
        if self._is_in_trailer:
            if not line:
                self._finish(is_complete=not self._buffer)
        elif self._is_after_chunk:
            self._is_after_chunk = False
            if line:
                self._finish()
        elif _CHUNK_SIZE.fullmatch(size := line.partition(b";")[0].strip()):
            self._remaining = int(size, 16)
            self._is_in_trailer = self._remaining == 0
        else:
            self._finish()

    def _keep(self, data: bytes) -> None:
        self.body += data[: self._body_max - len(self.body)]

    def _finish(self, *, is_complete: bool = False) -> None:
        self._state = _State.DONE
        self.is_reusable = is_complete and self._may_be_reusable

    def _give_up(self, problem: str) -> None:
        if self.status is None:
            self.problem = problem
        self._state = _State.DONE
