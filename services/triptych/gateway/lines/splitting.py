"""Splits the bytes of a body into lines, without I/O, and keeps no more than one line of bounded size."""

from collections.abc import Iterator
from typing import NamedTuple

LINE_BYTES_MAX = 1024 * 1024
"""The longest line, without its end. An item has at most 256 KiB as JSON; white space and escapes may take more."""


class Line(NamedTuple):
    """A line that is not blank. `number` counts all lines from 1; `raw` is None if the line is too long."""

    number: int
    raw: bytes | None


class LineSplitter:
    """Splits one body. How its bytes arrive makes no difference to its lines."""

    def __init__(self, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._max = line_bytes_max
        self._begun = bytearray()
        self._is_too_long = False
        self._number = 0

    def feed(self, data: bytes) -> Iterator[Line]:
        """The lines that end in the next bytes of the body."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._take(end)
            yield from self._end()
        self._take(rest)

    def finish(self) -> Iterator[Line]:
        """The last line, if the body does not end with a line break."""
        if self._begun or self._is_too_long:
            yield from self._end()

    def _take(self, part: bytes) -> None:
        # A carriage return before the line break is white space of JSON, which does not count.
        if self._is_too_long or len(self._begun) + len(part) > self._max + 1:
            self._is_too_long = True
            self._begun.clear()
        else:
            self._begun += part

    def _end(self) -> Iterator[Line]:
        self._number += 1
        raw, is_too_long = bytes(self._begun).removesuffix(b"\r"), self._is_too_long
        self._begun.clear()
        self._is_too_long = False
        if is_too_long or len(raw) > self._max:
            yield Line(self._number, None)
        elif raw.strip():
            yield Line(self._number, raw)
