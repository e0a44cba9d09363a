"""Reads items from lines and groups them into chunks, without I/O; the boundaries follow from the lines alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import ValidationError

from triptych.contract.base import ViolatedRule
from triptych.contract.codec.exact import validate_exactly
from triptych.contract.gallery import ITEMS_MAX
from triptych.contract.item import NewItem
from triptych.contract.replies import Violation
from triptych.contract.violations import violations_of
from triptych.gateway.http.errors import InvalidRequest
from triptych.gateway.lines.splitting import LINE_BYTES_MAX, Line

CHUNK_BYTES = 512 * 1024
"""The size of lines from which on a chunk is complete; a command must fit a Kafka message of 1 MiB in any case."""


class ParsedLine(NamedTuple):
    """A line as an item, or why it is none."""

    number: int
    item: NewItem | InvalidRequest


@dataclass(slots=True)
class Chunk:
    """Consecutive lines whose items are sent together; `number` counts chunks from 0."""

    number: int
    lines: list[ParsedLine] = field(default_factory=list)

    def items(self, *, placed: bool) -> dict[int, NewItem]:
        """The valid items by line: those that ask for a sort order, or the others."""
        return {
            number: item
            for number, item in self.lines
            if isinstance(item, NewItem) and (item.sort_order is not None) is placed
        }


def parse_line(line: Line) -> ParsedLine:
    """Read an item, with the violations that the creation of this one item would have."""
    if line.raw is None:
        description = f"must be at most {LINE_BYTES_MAX} bytes on one line"
        violation = Violation(
            field="item",
            description=description,
            violated_rule=ViolatedRule.MAX_SIZE,
            data={"threshold": LINE_BYTES_MAX},
        )
        return ParsedLine(line.number, InvalidRequest([violation]))
    try:
        return ParsedLine(line.number, validate_exactly(NewItem, line.raw))
    except ValidationError as error:
        return ParsedLine(line.number, InvalidRequest(violations_of(error, "item")))


class Chunker:
    """Groups the lines of one body.

    A chunk is complete with ITEMS_MAX lines, or before a line with which it would exceed CHUNK_BYTES. A repeated body
    has the same chunks, so that their commands are recognised.
    """

    def __init__(self, lines_max: int = ITEMS_MAX, bytes_max: int = CHUNK_BYTES) -> None:
        self._lines_max = lines_max
        self._bytes_max = bytes_max
        self._chunk = Chunk(0)
        self._bytes = 0

    def add(self, line: Line) -> Iterator[Chunk]:
        """Add a line; gives the chunk that is complete now, if any."""
        size = len(line.raw or b"")
        if self._chunk.lines and self._bytes + size > self._bytes_max:
            yield self._next()
        self._chunk.lines.append(parse_line(line))
        self._bytes += size
        if len(self._chunk.lines) == self._lines_max:
            yield self._next()

    def finish(self) -> Iterator[Chunk]:
        """The last chunk, if it has lines."""
        if self._chunk.lines:
            yield self._next()

    def _next(self) -> Chunk:
        complete, self._chunk, self._bytes = self._chunk, Chunk(self._chunk.number + 1), 0
        return complete


def chunks_of(lines: Iterable[Line], chunker: Chunker) -> Iterator[Chunk]:
    """The chunks that these lines complete."""
    for line in lines:
        yield from chunker.add(line)
