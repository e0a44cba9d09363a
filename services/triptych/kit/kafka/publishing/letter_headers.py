"""Defines the headers that a dead letter has in addition to those of the refused record, and reads them again."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

Headers: TypeAlias = tuple[tuple[str, bytes], ...]

ORIGIN = "dead-letter-origin"
REASON = "dead-letter-reason"
ERROR = "dead-letter-error"
ATTEMPTS = "dead-letter-attempts"
OFFSETS = "dead-letter-offsets"
"""First and last offset of a record or batch that no client can read."""
PART = "dead-letter-part"
"""Header of a piece: its number from 1, a slash, and the number of pieces."""
UNREADABLE_REASON = "UNREADABLE"

_ALWAYS = (ORIGIN, REASON, ERROR, ATTEMPTS)
_PART_MAX = 20


class Part(NamedTuple):
    """The place of a piece among the pieces of its dead letter, from 1."""

    number: int
    total: int


class AddedHeaders(NamedTuple):
    """What the added headers say. Texts are as written; bytes that are not UTF-8 are replaced."""

    origin: str
    reason: str
    error: str
    attempts: str
    offsets: str | None = None
    part: Part | None = None


def split_headers(headers: Sequence[tuple[str, bytes]]) -> tuple[Headers, AddedHeaders] | None:
    """The headers of the refused record, and the added ones, which are the last; None if the record is no dead letter.

    The refused record may have headers with the same names, if somebody copied a dead letter.
    """
    rest = list(headers)
    part = rest.pop() if rest and rest[-1][0] == PART else None
    offsets = rest.pop() if rest and rest[-1][0] == OFFSETS else None
    if tuple(name for name, _ in rest[-len(_ALWAYS) :]) != _ALWAYS:
        return None
    place = _part_of(_text(part[1])) if part is not None else None
    if part is not None and place is None:
        return None
    origin, reason, error, attempts = [_text(value) for _, value in rest[-len(_ALWAYS) :]]
    added = AddedHeaders(origin, reason, error, attempts, None if offsets is None else _text(offsets[1]), place)
    return tuple(rest[: -len(_ALWAYS)]), added


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


def _part_of(text: str) -> Part | None:
    number, _, total = text.partition("/")
    if not (text.isascii() and number.isdecimal() and total.isdecimal() and len(text) <= _PART_MAX):
        return None
    part = Part(int(number), int(total))
    return part if 1 <= part.number <= part.total else None
