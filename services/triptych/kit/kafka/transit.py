"""Defines the headers that Triptych adds to a record of a sender on its way, and removes again.

A record that is not on the partition of its gallery is forwarded. A dead letter that is replayed is a copy of the
refused record. Both have one header more than their senders gave them.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from prometheus_client import Counter

from triptych.kit.kafka.positions import Position, parse_position

Headers: TypeAlias = tuple[tuple[str, bytes], ...]
_DIGITS_MAX = 15

FORWARDED = "triptych-forwarded"
"""Header of a record that was forwarded to its gallery's partition; the value is the record's former position."""
REPLAY = "dead-letter-replay"
"""Header of a record that was replayed: how often, its last dead letter, and where and when it failed first."""

REPLAYED = Counter(
    "triptych_dead_letters_replayed_total",
    "Replayed dead letters that came back, by outcome: done, stale, rejected, held-back, dead-lettered",
    ["topic", "outcome"],
)
DONE, STALE, REJECTED, HELD_BACK, DEAD_LETTERED = "done", "stale", "rejected", "held-back", "dead-lettered"
OUTCOMES = (DONE, STALE, REJECTED, HELD_BACK, DEAD_LETTERED)
"""The outcomes of a replay. A stale record had taken effect before, and has no second effect."""


class Replay(NamedTuple):
    """What the header of a replayed record says.

    Attributes:
        times: how often the record was replayed, this time included.
        letter: the dead letter that the record is a copy of.
        origin: where the record was when it was refused for the first time.
        refused_ms: when that was, in milliseconds since the epoch.
    """

    times: int
    letter: Position
    origin: Position
    refused_ms: int

    def header(self) -> tuple[str, bytes]:
        """The header that `replay_of` reads."""
        return REPLAY, f"{self.times} {self.letter} {self.origin} {self.refused_ms}".encode()


def is_replay(headers: Iterable[tuple[str, bytes]]) -> bool:
    """Whether a record with these headers is a replayed dead letter."""
    for name, _ in headers:  # noqa: SIM110 - `any` takes three times as long, for each command
        if name == REPLAY:
            return True
    return False


def replay_of(headers: Iterable[tuple[str, bytes]]) -> Replay | None:
    """What the record's header says about its replay; None if there is none, or it is not in our form."""
    found = [value for name, value in headers if name == REPLAY]
    words = (found[-1] or b"").decode(errors="replace").split(" ") if found else []
    if len(words) != 4 or not all(word.isascii() and word.isdecimal() for word in (words[0], words[3])):
        return None
    letter, origin = parse_position(words[1]), parse_position(words[2])
    if letter is None or origin is None or len(words[0]) > _DIGITS_MAX or len(words[3]) > _DIGITS_MAX:
        return None
    return Replay(int(words[0]), letter, origin, int(words[3]))


def as_sent(headers: Sequence[tuple[str, bytes]]) -> Headers:
    """The headers that the sender gave the record: without those that this module defines."""
    return tuple([header for header in headers if header[0] not in (FORWARDED, REPLAY)])
