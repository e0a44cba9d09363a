"""Reads a record of a dead-letter topic: the refused record, why it was refused, and whether it can be replayed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol, cast

from triptych.kit.kafka.positions import Position, parse_position
from triptych.kit.kafka.publishing.letter_headers import UNREADABLE_REASON, Headers, Piece, split_headers
from triptych.kit.kafka.publishing.letter_pieces import join_letter
from triptych.kit.kafka.transit import Replay, replay_of

NO_REASON = "NOT_A_DEAD_LETTER"
"""The reason shown for a record that others have put on a dead-letter topic."""
LATEST_MS = 253_402_300_799_999
"""The end of the year 9999 in milliseconds since the epoch: a `datetime` cannot be later."""


class Refusal(StrEnum):
    """Why a dead letter is not replayed."""

    NOT_FOUND = "NOT_FOUND"
    """The topic has no dead letter at this position, or no longer."""
    NOT_A_DEAD_LETTER = "NOT_A_DEAD_LETTER"
    """The record lacks the headers of a dead letter: somebody else has put it on the topic."""
    UNREADABLE = "UNREADABLE"
    """The dead letter has the bytes of a damaged record or batch. Nobody knows its key, value and headers."""
    INCOMPLETE = "INCOMPLETE"
    """The dead letter is in pieces, and some of them are missing."""
    HANDLED = "HANDLED"
    """The dead letter was replayed or dropped before."""
    TOO_OLD = "TOO_OLD"
    """The command is older than the time for which repeated commands are recognised."""
    OTHER_TOPIC = "OTHER_TOPIC"
    """The record was refused on another topic than that of the dead letters."""
    NO_TOPIC = "NO_TOPIC"
    """The topic of the record does not exist."""
    NO_PARTITION = "NO_PARTITION"
    """The record has no key, and the topic no longer has its partition."""
    TOO_LARGE = "TOO_LARGE"
    """The record does not fit into its topic with any compression."""


class LetterRecord(Protocol):
    """The fields of a record of a dead-letter topic. `timestamp` is in milliseconds since the epoch."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, or one of its pieces.

    Attributes:
        position: where it is in Kafka, which identifies it.
        date: when it was dead-lettered.
        origin: where the refused record was; None for a record that is no dead letter.
        reason: one of a small set of names.
        error: what is wrong, for a person.
        attempts: how often the record was tried.
        key, value, headers: those of the refused record. A piece has no key and no headers.
        offsets: first and last offset of what no client can read.
        piece: which piece this is; None if the dead letter is one record.
        is_joined: whether key, value and headers were put together from all pieces.
        replay: how the refused record had come to its topic, if it was a replayed dead letter itself.
    """

    position: Position
    date: datetime
    origin: Position | None
    reason: str
    error: str
    attempts: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    offsets: str | None = None
    piece: Piece | None = None
    is_joined: bool = False
    replay: Replay | None = None

    @property
    def replays(self) -> int:
        """How often the refused record had been replayed."""
        return self.replay.times if self.replay is not None else 0

    @property
    def first_refused(self) -> datetime:
        """When the record was refused for the first time."""
        return _moment(self.replay.refused_ms) if self.replay is not None else self.date

    @property
    def pieces(self) -> int:
        """How many records the dead letter consists of."""
        return self.piece.total if self.piece is not None else 1

    @property
    def is_first(self) -> bool:
        """Whether the dead letter begins here."""
        return self.piece is None or self.piece.number == 1

    @property
    def problem(self) -> Refusal | None:
        """Why it can never be replayed, whatever the state of the topics; None for a dead letter like any other."""
        if self.origin is None:
            return Refusal.NOT_A_DEAD_LETTER
        return Refusal.UNREADABLE if self.reason == UNREADABLE_REASON else None

    def is_piece_of(self, first: "Letter") -> bool:
        """Whether this is a piece of the dead letter that begins with `first`."""
        return (
            self.piece is not None
            and first.piece is not None
            and self.piece.total == first.piece.total
            and (self.origin, self.reason, self.error) == (first.origin, first.reason, first.error)
        )


def read_letter(record: LetterRecord) -> Letter:
    """The dead letter in a record. A record that is none is read too: it has no origin."""
    position = Position(record.topic, record.partition, record.offset)
    date = _moment(record.timestamp)
    found = split_headers(record.headers)
    origin = None if found is None else parse_position(found[1].origin)
    if found is None or origin is None:
        text = "the record lacks the headers of a dead letter"
        return Letter(position, date, None, NO_REASON, text, 0, record.key, record.value, record.headers)
    headers, added = found
    is_piece = added.piece is not None
    return Letter(
        position,
        date,
        origin,
        added.reason,
        added.error,
        int(added.attempts) if added.attempts.isascii() and added.attempts.isdecimal() else 0,
        None if is_piece else record.key,
        record.value,
        headers,
        added.offsets,
        added.piece,
        replay=replay_of(headers),
    )


def joined(first: Letter, values: Iterable[bytes]) -> Letter | None:
    """The dead letter that begins with `first`, from the values of its pieces in order; None if they do not fit."""
    try:
        key, value, pairs = join_letter(values)
    except (ValueError, KeyError, TypeError):
        return None
    # A header's value may be null, although the client's types exclude it.
    headers = cast("Headers", tuple([(name.decode("utf-8", "surrogateescape"), text) for name, text in pairs]))
    return replace(first, key=key, value=value, headers=headers, is_joined=True, replay=replay_of(headers))


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(milliseconds, 0), LATEST_MS) / 1000, UTC)
