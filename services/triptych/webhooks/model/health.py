"""Decides, purely, how well a listener answers, from its latest attempts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil

ATTEMPTS_MAX = 100
"""How many of the latest attempts are considered."""
FAILURES_TO_BREAK = 5
"""After this many failures in a row a listener gets one request at a time, with pauses, until one succeeds."""
_SLOW_SHARE = 0.95


class Circuit(StrEnum):
    """Whether requests to a listener are limited because of its failures."""

    CLOSED = "closed"
    """It gets requests as usual."""
    HALF_OPEN = "half-open"
    """The last attempts have failed, so it gets one request at a time."""
    OPEN = "open"
    """It is disabled: it gets no requests."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """When an attempt ended, whether it succeeded, and how many seconds it took."""

    at: datetime
    is_success: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Answers:
    """What the latest attempts say: how many there are, how many succeeded, and from when they are.

    `p95_seconds` is the time within which 95 of 100 attempts ended, successful or not; None without attempts.
    """

    attempts: int
    succeeded: int
    p95_seconds: float | None
    since: datetime | None
    circuit: Circuit


def latest(attempts: Iterable[Attempt]) -> list[Attempt]:
    """The attempts to consider, oldest first."""
    return sorted(attempts, key=lambda attempt: attempt.at)[-ATTEMPTS_MAX:]


def answers_of(attempts: Iterable[Attempt], *, is_disabled: bool) -> Answers:
    """What these attempts of a listener say, in any order."""
    considered = latest(attempts)
    return Answers(
        attempts=len(considered),
        succeeded=sum(attempt.is_success for attempt in considered),
        p95_seconds=_p95([attempt.seconds for attempt in considered]),
        since=considered[0].at if considered else None,
        circuit=Circuit.OPEN if is_disabled else _circuit_after(considered),
    )


def _circuit_after(attempts: Sequence[Attempt]) -> Circuit:
    last = attempts[-FAILURES_TO_BREAK:]
    has_broken = len(last) == FAILURES_TO_BREAK and not any(attempt.is_success for attempt in last)
    return Circuit.HALF_OPEN if has_broken else Circuit.CLOSED


def _p95(seconds: Sequence[float]) -> float | None:
    return sorted(seconds)[ceil(_SLOW_SHARE * len(seconds)) - 1] if seconds else None
