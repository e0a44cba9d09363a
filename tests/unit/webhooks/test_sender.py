"""Tests the meaning of Retry-After and of the client's exceptions, and what is signed only once."""

import ssl
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.histories import History
from tests.support.listener_examples import claimed, listener
from triptych.webhooks.http.client import Client, NotHttp
from triptych.webhooks.http.resolver import NameNotResolved
from triptych.webhooks.model.addresses import ForbiddenAddress
from triptych.webhooks.model.delivery import AttemptFailure
from triptych.webhooks.model.keys import Format, make_key
from triptych.webhooks.model.signing import SigningKey, read_key
from triptych.webhooks.relay.sender import WAVE_SECONDS, DeliverySender, Signer, classify, parse_retry_after
from triptych.webhooks.store.listener_documents import Listener

EVENT = History().create().messages[0].value


class OneKey:
    """A listener cache in which all listeners have the same key."""

    def __init__(self, dialect: Format) -> None:
        self._key = read_key("k", dialect, make_key(dialect).secret)

    def keys_of(self, _listener: Listener, _now: datetime) -> list[SigningKey]:
        """The only key."""
        return [self._key]


def signer(dialect: Format, times: list[float]) -> Signer:
    listener_cache: Any = OneKey(dialect)
    return Signer(listener_cache, lambda: times[0])


def test_a_wave_of_tokens_is_signed_once_and_each_attempt_again() -> None:
    times = [1_000.0]
    made = signer(Format.WIX_JWT, times)
    first, second = listener(id="a", format=Format.WIX_JWT), listener(id="b", format=Format.WIX_JWT)

    def sign(who: Listener, **fields: Any) -> bytes:
        return made.sign(who, claimed(**fields), EVENT).body

    wave = sign(first)
    assert sign(second) is wave
    assert sign(first, attempts=2) is not wave
    assert sign(first, manual=True) is not wave
    assert sign(first, event_id="other") is not wave
    times[0] += WAVE_SECONDS
    assert sign(first) != wave


def test_each_attempt_of_standard_webhooks_has_its_own_timestamp_and_the_same_id() -> None:
    times = [1_000.0]
    made = signer(Format.STANDARD_HMAC, times)
    once = made.sign(listener(), claimed(), EVENT)
    times[0] = 1_060.0
    again = made.sign(listener(), claimed(attempts=2), EVENT)
    assert once.headers["webhook-id"] == again.headers["webhook-id"] == "e"
    assert (once.headers["webhook-timestamp"], again.headers["webhook-timestamp"]) == ("1000", "1060")
    assert once.headers["webhook-signature"] != again.headers["webhook-signature"]


def test_retry_after_in_seconds_or_as_a_date() -> None:
    assert parse_retry_after(None) is None
    assert parse_retry_after("120") == 120.0
    assert parse_retry_after("soon") is None
    for nothing in (
        "-1",
        "1.5",
        "١٢",
        "",
        "9" * 5_000,
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "0000",
        "\xff",
    ):
        found = parse_retry_after(nothing)
        assert found is None or found == 0
    for extreme in ("Mon, 01 Jan 0001 00:00:00 +1400", "Fri, 31 Dec 9999 23:59:59 -1400", "1 Jan 2020 0:0:0 +99999999"):
        found = parse_retry_after(extreme)
        assert found is None or found >= 0
    past = format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)
    assert parse_retry_after(past) == 0.0
    future = parse_retry_after(format_datetime(datetime(2999, 1, 1, tzinfo=UTC), usegmt=True))
    assert future is not None
    assert future > 1e9


def test_all_dates_of_http() -> None:
    for date in ("Sun, 06 Nov 2994 08:49:37 GMT", "Sun Nov  6 08:49:37 2994"):
        found = parse_retry_after(date)
        assert found is not None
        assert found > 1e9
    # A year of two digits is in the past if it would be more than 50 years ahead.
    assert parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT") == 0.0


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,30} Jan [0-9]{1,30} [0-9]{1,20}:00:00 [-+A-Z0-9]{1,30}"))
def test_no_retry_after_makes_the_parser_fail(text: str) -> None:
    found = parse_retry_after(text)
    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (TimeoutError(), AttemptFailure.TIMEOUT),
        (ConnectionResetError(), AttemptFailure.CONNECTION),
        (NameNotResolved(), AttemptFailure.NAME),
        (ssl.SSLCertVerificationError(), AttemptFailure.TLS),
        (ForbiddenAddress("no"), AttemptFailure.FORBIDDEN_ADDRESS),
        (NotHttp("odd"), AttemptFailure.PROTOCOL),
        (ValueError("odd"), AttemptFailure.PROTOCOL),
        (KeyError("an internal error"), AttemptFailure.INTERNAL),
    ],
)
def test_what_exceptions_mean(error: Exception, failure: AttemptFailure) -> None:
    assert classify(error) is failure


async def test_an_internal_error_is_a_failure_too() -> None:
    listener_cache: Any = NoKey()
    client: Any = Client((), None, 0)  # type: ignore[arg-type]
    sent = await DeliverySender(client, Signer(listener_cache)).send(listener(), claimed(), EVENT)
    assert sent.response.failure is AttemptFailure.INTERNAL


class NoKey:
    """A listener cache that has lost the keys."""

    def keys_of(self, _listener: Listener, _now: datetime) -> list[SigningKey]:
        """Raises KeyError."""
        raise KeyError("k")
