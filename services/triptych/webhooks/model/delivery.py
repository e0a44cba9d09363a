"""Decides, purely, the next state of a delivery after an attempt: delivered, retried at a time, or dead."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from triptych.webhooks.model.keys import Format

OK = 200
GONE = 410
TOO_MANY_REQUESTS = 429
# An attempt is counted before its POST. If the process dies before it records the response, the attempt is repeated
# and does not use up a retry. More interruptions than this mean that the delivery itself kills the process.
INTERRUPTIONS_MAX = 10


class AttemptFailure(StrEnum):
    """Why an attempt got no usable response. The values appear in the delivery log."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TLS = "tls"
    NAME = "name-resolution"
    PROTOCOL = "protocol"
    FORBIDDEN_ADDRESS = "forbidden-address"
    INTERNAL = "internal"
    """A fault in the relay. Its log has the details."""


@dataclass(frozen=True, slots=True)
class ListenerResponse:
    """The result of one POST: a status, or a failure with a text. `retry_after` is in seconds from the response."""

    status: int | None
    failure: AttemptFailure | None = None
    text: str = ""
    retry_after: float | None = None
    body: bytes = b""
    """The first bytes of the response's body."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One attempt: its URL and request headers, and the response."""

    url: str
    headers: Mapping[str, str]
    response: ListenerResponse


@dataclass(frozen=True, slots=True)
class Policy:
    """A listener's settings for success and retries. Delays are in seconds."""

    format: Format
    retry_delays: tuple[float, ...]
    minimum_wait: float
    """The minimum delay after a timeout or a 429, since such a listener is overloaded."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The listener has accepted the delivery."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt failed. The next one is due at `due_at`."""

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
    """The delivery ended without success. It is sent again only on request."""

    reason: DeathReason


Verdict: TypeAlias = Delivered | Retry | Dead


def judge(response: ListenerResponse, failures: int, policy: Policy, now: datetime, jitter: float) -> Verdict:
    """The verdict on the response to an attempt.

    Args:
        response: to the attempt just made.
        failures: earlier attempts of this delivery that failed.
        policy: of the listener.
        now: when the response arrived.
        jitter: the factor of the delay, 0.8 to 1.2, so that deliveries that failed together are not retried together.
    """
    if is_success(response, policy.format):
        return Delivered()
    if response.failure is AttemptFailure.FORBIDDEN_ADDRESS:
        return Dead(DeathReason.FORBIDDEN_ADDRESS)
    if response.status == GONE:
        return Dead(DeathReason.GONE)
    if failures >= len(policy.retry_delays):
        return Dead(DeathReason.EXHAUSTED)
    delay = policy.retry_delays[failures] * jitter
    if response.retry_after is not None:
        # A receiver can lengthen the delay up to twofold. It cannot shorten it.
        delay = min(max(response.retry_after, delay), 2 * delay)
    if response.failure is AttemptFailure.TIMEOUT or response.status == TOO_MANY_REQUESTS:
        delay = max(delay, policy.minimum_wait)
    return Retry(now + timedelta(seconds=delay))


DELIVERED = "delivered"
_STATUS_CLASSES = tuple(f"status-{first}xx" for first in range(1, 6))
RESULTS = (DELIVERED, *(failure.value for failure in AttemptFailure), *_STATUS_CLASSES, "status-other")
"""The values of `result_of`."""


def result_of(response: ListenerResponse, verdict: Verdict) -> str:
    """The result of an attempt as one of a few names: `DELIVERED`, an `AttemptFailure`, or the class of the status."""
    if isinstance(verdict, Delivered):
        return DELIVERED
    if response.failure is not None:
        return response.failure.value
    name = f"status-{(response.status or 0) // 100}xx"
    return name if name in _STATUS_CLASSES else "status-other"


def is_success(response: ListenerResponse, dialect: Format) -> bool:
    """Whether a status means success: 200 for Wix (contract, section 7.4), any 2xx for Standard Webhooks."""
    if response.status is None:
        return False
    return response.status == OK if dialect is Format.WIX_JWT else 200 <= response.status < 300


def was_interrupted_too_often(attempts: int, failures: int) -> bool:
    """Whether processes died during too many attempts of this delivery."""
    return attempts - failures > INTERRUPTIONS_MAX
