"""Reads an HTTP answer, purely: its status line decides, and what follows the line can change nothing about that.

Receivers send what no strict parser takes: heads of many kilobytes, spaces before a colon, two lengths, a broken
chunk, bytes that belong to no message. The status is the answer all the same (RFC 9110, section 15); such flaws
only cost the connection, which is then not used again.
"""

import re
from enum import Enum, auto

HEAD_MAX = 1024 * 1024
"""Bytes of all heads of one answer; more are not waited for."""
LINE_MAX = 8 * 1024
"""What is kept of one line; the rest of a longer one is passed over."""

# The case of the name and the width of the gaps are not worth a failure. The reason is optional.
_STATUS_LINE = re.compile(rb"(HTTP/[0-9]+(?:\.[0-9]+)?)[ \t]+([0-9]{3})(?![^ \t\r])", re.IGNORECASE)
_BEGINNING = b"HTTP/"
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
    """One answer as it comes.

    Attributes:
        status: of the final answer, once its status line has come; RFC 9110 gives meaning to 100 to 599.
        retry_after: the value of that header field, undecoded but for Latin-1.
        body: its first bytes, without the framing of chunks.
        is_reusable: whether the message is complete, and the connection may carry another request.
        problem: why there is no status, in words, if what has come is no HTTP.
    """

    def __init__(self, body_max: int) -> None:
        self.status: int | None = None
        self.retry_after: str | None = None
        self.body = bytearray()
        self.is_reusable = False
        self.problem: str | None = None
        self._body_max = body_max
        self._at = _State.STATUS
        self._buffer = bytearray()
        self._received = 0
        self._is_informational = False
        self._may_be_reusable = True
        self._lengths: list[bytes] = []
        self._codings: list[bytes] = []
        self._left: int | None = None
        self._is_after_chunk = False
        self._is_in_trailer = False

    @property
    def is_done(self) -> bool:
        """Whether nothing more has to be read."""
        return self._at is _State.DONE

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        if self._at is _State.BODY:
            self._take(data)
            return
        self._buffer += data
        if self._at in (_State.STATUS, _State.FIELDS):
            self._received += len(data)
            self._read_head()
        elif self._at is _State.CHUNKS:
            self._read_chunks()
        elif self._at is _State.DONE and self._buffer:
            self.is_reusable = False

    def end(self) -> None:
        """Note that the connection has ended. A body without a length ends this way; any other has broken off."""
        if self.is_done:
            return
        if self.status is None and self.problem is None:
            come = "an informational answer" if self._is_informational else "the beginning of an answer"
            self.problem = f"the connection ended after {come}" if self._received else None
        self._at = _State.DONE

    def _read_head(self) -> None:
        while self._at in (_State.STATUS, _State.FIELDS):
            if self._at is _State.STATUS and not self._begins_well():
                self._give_up("the answer is not HTTP/1")
                return
            line = self._line()
            if line is None:
                if self._at is _State.STATUS and len(self._buffer) >= LINE_MAX:
                    self._read_status(bytes(self._buffer))
                if self._received > HEAD_MAX:
                    self._give_up("the head of the answer is too large")
                return
            if self._at is _State.STATUS:
                if line:
                    self._read_status(line)
            elif line:
                self._read_field(line)
            elif self._is_informational:
                self._is_informational = False
                self._at = _State.STATUS
            else:
                self._begin_body()

    def _begins_well(self) -> bool:
        beginning = bytes(self._buffer[: len(_BEGINNING) + 4]).lstrip(b"\r\n")[: len(_BEGINNING)]
        return _BEGINNING.startswith(beginning.upper())

    def _line(self) -> bytes | None:
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
            self._give_up("the answer has no status line")
            return
        status = int(found[2])
        self._at = _State.FIELDS
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
        if not colon or line[:1] in (b" ", b"\t"):  # a folded line, or none at all
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
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._may_be_reusable &= not (self._codings and self._lengths)
        if self.status in _WITHOUT_BODY:
            self._left = 0
        elif self._codings == [b"chunked"]:
            self._at = _State.CHUNKS
            self._buffer += rest
            self._read_chunks()
            return
        elif not self._codings and len(set(self._lengths)) == 1 and _LENGTH.fullmatch(self._lengths[0]):
            self._left = int(self._lengths[0])
        self._at = _State.BODY
        self._take(rest)

    def _take(self, data: bytes) -> None:
        if self._left is None:
            self._keep(data)
        else:
            self._keep(data[: self._left])
            if len(data) >= self._left:
                self._finish(whole=len(data) == self._left)
                return
            self._left -= len(data)
        if len(self.body) >= self._body_max:
            self._finish()

    def _read_chunks(self) -> None:
        self._left = self._left or 0
        while self._at is _State.CHUNKS:
            if self._left:
                part = bytes(self._buffer[: self._left])
                del self._buffer[: self._left]
                self._keep(part)
                self._left -= len(part)
                if len(self.body) >= self._body_max:
                    self._finish()
                if self._left:
                    return
                self._is_after_chunk = True
                continue
            line = self._line()
            if line is None:
                return
            self._read_chunk_line(line)

    def _read_chunk_line(self, line: bytes) -> None:
        if self._is_in_trailer:
            if not line:
                self._finish(whole=not self._buffer)
        elif self._is_after_chunk:
            self._is_after_chunk = False
            if line:
                self._finish()
        elif _CHUNK_SIZE.fullmatch(size := line.partition(b";")[0].strip()):
            self._left = int(size, 16)
            self._is_in_trailer = self._left == 0
        else:
            self._finish()

    def _keep(self, data: bytes) -> None:
        self.body += data[: self._body_max - len(self.body)]

    def _finish(self, *, whole: bool = False) -> None:
        self._at = _State.DONE
        self.is_reusable = whole and self._may_be_reusable

    def _give_up(self, problem: str) -> None:
        if self.status is None:
            self.problem = problem
        self._at = _State.DONE
