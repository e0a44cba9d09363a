"""Decides what becomes of a delivery after an attempt, purely: delivered, tried again at a time, or dead."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from triptych.webhooks.model.keys import Format

OK = 200
GONE = 410
TOO_MANY_REQUESTS = 429
# An attempt counts before its POST; one whose answer was never recorded (the process died) is made again and takes
# nothing from the schedule. More of them than this mean that the delivery itself is what kills the process.
INTERRUPTIONS_MAX = 10


class Failure(StrEnum):
    """Why there was no usable answer; the names appear in the delivery log."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TLS = "tls"
    NAME = "name-resolution"
    PROTOCOL = "protocol"
    FORBIDDEN_ADDRESS = "forbidden-address"
    INTERNAL = "internal"
    """A fault of ours; the log of the process says more."""


@dataclass(frozen=True, slots=True)
class ListenerResponse:
    """What came of one POST: a status, or a failure with its words. `retry_after` is in seconds from the answer."""

    status: int | None
    failure: Failure | None = None
    text: str = ""
    retry_after: float | None = None
    body: bytes = b""
    """The first bytes of the answer."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SentRequest:
    """What was sent where, and what came back."""

    url: str
    headers: Mapping[str, str]
    answer: ListenerResponse


@dataclass(frozen=True, slots=True)
class Policy:
    """What a listener's settings say about failures. Delays in seconds."""

    format: Format
    retry_delays: tuple[float, ...]
    minimum_wait: float
    """The least to wait after a timeout or a 429: such a listener has too much to do already."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The listener has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not yet; try again at this time."""

    due_at: datetime


class DeathReason(StrEnum):
    """Why a delivery ended without success."""

    EXHAUSTED = "exhausted"
    GONE = "gone"
    FORBIDDEN_ADDRESS = "forbidden-address"
    INTERRUPTED = "interrupted"
    EVENT_EXPIRED = "event-expired"


@dataclass(frozen=True, slots=True)
class Dead:
    """It will not be tried again by itself."""

    reason: DeathReason


Verdict: TypeAlias = Delivered | Retry | Dead


def judge(answer: ListenerResponse, failures: int, policy: Policy, now: datetime, jitter: float) -> Verdict:
    """What follows from an answer.

    Args:
        answer: of the attempt just made.
        failures: attempts of this delivery that had failed before.
        policy: of the listener.
        now: when the answer was there.
        jitter: 0.8 to 1.2, so that deliveries that failed together are not tried again together.
    """
    if is_success(answer, policy.format):
        return Delivered()
    if answer.failure is Failure.FORBIDDEN_ADDRESS:
        return Dead(DeathReason.FORBIDDEN_ADDRESS)
    if answer.status == GONE:
        return Dead(DeathReason.GONE)
    if failures >= len(policy.retry_delays):
        return Dead(DeathReason.EXHAUSTED)
    delay = policy.retry_delays[failures] * jitter
    if answer.retry_after is not None:
        # Honoured, but nobody can bring a delivery forward, or put it off for ever.
        delay = min(max(answer.retry_after, delay), 2 * delay)
    if answer.failure is Failure.TIMEOUT or answer.status == TOO_MANY_REQUESTS:
        delay = max(delay, policy.minimum_wait)
    return Retry(now + timedelta(seconds=delay))


def is_success(answer: ListenerResponse, dialect: Format) -> bool:
    """200 for Wix (contract, section 7.4), any 2xx for Standard Webhooks; redirects are failures for both."""
    if answer.status is None:
        return False
    return answer.status == OK if dialect is Format.WIX_JWT else 200 <= answer.status < 300


def was_interrupted_too_often(attempts: int, failures: int) -> bool:
    """Whether a delivery about to be attempted has lost too many attempts to processes that died."""
    return attempts - failures > INTERRUPTIONS_MAX
