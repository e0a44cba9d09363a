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
PIECE = "dead-letter-part"
"""Header of a piece: its number from 1, a slash, and the number of pieces."""
UNREADABLE_REASON = "UNREADABLE"

_ALWAYS = (ORIGIN, REASON, ERROR, ATTEMPTS)
_PIECE_MAX = 20


class Piece(NamedTuple):
    """The number of a piece, from 1, and the number of all pieces of its dead letter."""

    number: int
    total: int


class AddedHeaders(NamedTuple):
    """What the added headers say. Texts are as written; bytes that are not UTF-8 are replaced."""

    origin: str
    reason: str
    error: str
    attempts: str
    offsets: str | None = None
    piece: Piece | None = None


def split_headers(headers: Sequence[tuple[str, bytes]]) -> tuple[Headers, AddedHeaders] | None:
    """The headers of the refused record, and the added ones, which are the last; None if the record is no dead letter.

    The refused record may have headers with the same names, if somebody copied a dead letter.
    """
    rest = list(headers)
    header = rest.pop() if rest and rest[-1][0] == PIECE else None
    offsets = rest.pop() if rest and rest[-1][0] == OFFSETS else None
    if tuple(name for name, _ in rest[-len(_ALWAYS) :]) != _ALWAYS:
        return None
    piece = _piece_of(_text(header[1])) if header is not None else None
    if header is not None and piece is None:
        return None
    origin, reason, error, attempts = [_text(value) for _, value in rest[-len(_ALWAYS) :]]
    added = AddedHeaders(origin, reason, error, attempts, None if offsets is None else _text(offsets[1]), piece)
    return tuple(rest[: -len(_ALWAYS)]), added


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


def _piece_of(text: str) -> Piece | None:
    number, _, total = text.partition("/")
    if not (text.isascii() and number.isdecimal() and total.isdecimal() and len(text) <= _PIECE_MAX):
        return None
    piece = Piece(int(number), int(total))
    return piece if 1 <= piece.number <= piece.total else None
