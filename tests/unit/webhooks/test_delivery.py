"""Every response leads to a verdict, and retries follow their schedule."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.webhooks.model.delivery import (
    AttemptFailure,
    Dead,
    DeathReason,
    Delivered,
    ListenerResponse,
    Policy,
    Retry,
    Verdict,
    judge,
    was_interrupted_too_often,
)
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.retries import SCHEDULES, RetryProfile

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(Format.STANDARD_HMAC, (100.0, 1_000.0), minimum_wait=60.0)


def verdict(response: ListenerResponse, failures: int = 0, *, policy: Policy = POLICY, jitter: float = 1.0) -> Verdict:
    return judge(response, failures, policy, NOW, jitter)


def wait_of(response: ListenerResponse, failures: int = 0, *, policy: Policy = POLICY, jitter: float = 1.0) -> float:
    outcome = verdict(response, failures, policy=policy, jitter=jitter)
    assert isinstance(outcome, Retry)
    return (outcome.due_at - NOW).total_seconds()


@pytest.mark.parametrize(
    ("dialect", "code", "success"),
    [
        (Format.STANDARD_HMAC, 200, True),
        (Format.STANDARD_HMAC, 204, True),
        (Format.STANDARD_ED25519, 299, True),
        (Format.STANDARD_HMAC, 300, False),
        (Format.STANDARD_HMAC, 307, False),
        (Format.WIX_JWT, 200, True),
        (Format.WIX_JWT, 201, False),
        (Format.WIX_JWT, 302, False),
        (Format.WIX_JWT, 500, False),
    ],
)
def test_what_counts_as_success(dialect: Format, code: int, success: bool) -> None:
    outcome = verdict(ListenerResponse(code), policy=Policy(dialect, (1.0,), 0.0))
    assert isinstance(outcome, Delivered) is success


def test_wix_schedule_minute_by_minute() -> None:
    policy = Policy(Format.WIX_JWT, SCHEDULES[RetryProfile.WIX], minimum_wait=60.0)
    waits = [wait_of(ListenerResponse(500), failures, policy=policy) / 60 for failures in range(12)]
    assert waits == [1, 10, 60, 120, 120, 120, 240, 240, 240, 480, 480, 720]
    assert sum(waits) == 47 * 60 + 11
    assert verdict(ListenerResponse(500), 12, policy=policy) == Dead(DeathReason.EXHAUSTED)


def test_standard_schedule() -> None:
    hours = [delay / 3600 for delay in SCHEDULES[RetryProfile.STANDARD]]
    assert hours == [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]


@pytest.mark.parametrize(("jitter", "wait"), [(0.8, 80.0), (1.2, 120.0)])
def test_jitter_moves_the_delay(jitter: float, wait: float) -> None:
    assert wait_of(ListenerResponse(500), jitter=jitter) == wait


@pytest.mark.parametrize(("asked", "wait"), [(0.0, 100.0), (99.0, 100.0), (150.0, 150.0), (200.0, 200.0), (1e9, 200.0)])
def test_retry_after_counts_between_one_and_two_times_the_delay(asked: float, wait: float) -> None:
    assert wait_of(ListenerResponse(503, retry_after=asked)) == wait


@pytest.mark.parametrize("response", [ListenerResponse(429), ListenerResponse(None, AttemptFailure.TIMEOUT)])
def test_an_overburdened_listener_gets_at_least_the_minimum(response: ListenerResponse) -> None:
    policy = Policy(Format.STANDARD_HMAC, (1.0, 500.0), minimum_wait=60.0)
    assert wait_of(response, 0, policy=policy) == 60.0
    assert wait_of(response, 1, policy=policy) == 500.0
    assert wait_of(ListenerResponse(500), 0, policy=policy) == 1.0


def test_final_answers() -> None:
    assert verdict(ListenerResponse(410)) == Dead(DeathReason.GONE)
    assert verdict(ListenerResponse(None, AttemptFailure.FORBIDDEN_ADDRESS)) == Dead(DeathReason.FORBIDDEN_ADDRESS)
    assert verdict(ListenerResponse(500), policy=Policy(Format.STANDARD_HMAC, (), 0.0)) == Dead(DeathReason.EXHAUSTED)


@given(
    st.builds(
        ListenerResponse,
        st.none() | st.integers(100, 599),
        st.none() | st.sampled_from(AttemptFailure),
        retry_after=st.none() | st.floats(0, 1e9),
    ),
    st.integers(0, 20),
    st.lists(st.floats(0.1, 1e5), max_size=12).map(tuple),
    st.floats(0.8, 1.2),
)
def test_every_answer_has_an_outcome_and_no_delivery_is_tried_for_ever(
    response: ListenerResponse, failures: int, delays: tuple[float, ...], jitter: float
) -> None:
    outcome = judge(response, failures, Policy(Format.STANDARD_HMAC, delays, 60.0), NOW, jitter)
    if isinstance(outcome, Retry):
        assert failures < len(delays)
        wait = (outcome.due_at - NOW).total_seconds()
        assert 0.79 * delays[failures] <= wait <= max(2.41 * delays[failures], 60.0)


def test_interruptions_are_forgiven_but_not_for_ever() -> None:
    assert not was_interrupted_too_often(attempts=1, failures=0)
    assert not was_interrupted_too_often(attempts=23, failures=13)
    assert was_interrupted_too_often(attempts=11, failures=0)
