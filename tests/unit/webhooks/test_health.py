"""What the latest attempts of a listener say about it."""

from datetime import timedelta

from tests.support.listener_examples import NOW
from triptych.webhooks.model.health import ATTEMPTS_MAX, FAILURES_TO_BREAK, Answers, Attempt, Circuit, answers_of


def attempts(results: str, seconds: float = 0.1) -> list[Attempt]:
    """Attempts a second apart: `+` succeeds, `-` fails."""
    return [Attempt(NOW + timedelta(seconds=at), result == "+", seconds) for at, result in enumerate(results)]


def circuit_after(results: str) -> Circuit:
    return answers_of(attempts(results), is_disabled=False).circuit


def test_nothing_is_said_without_attempts() -> None:
    assert answers_of([], is_disabled=False) == Answers(0, 0, None, None, Circuit.CLOSED)


def test_only_the_latest_attempts_count_in_whatever_order_they_come() -> None:
    found = answers_of(reversed(attempts("-" * 7 + "+" * 90 + "-" * 10)), is_disabled=False)
    assert (found.attempts, found.succeeded, found.since) == (ATTEMPTS_MAX, 90, NOW + timedelta(seconds=7))


def test_the_breaker_follows_the_last_attempts() -> None:
    assert circuit_after("-" * (FAILURES_TO_BREAK - 1)) is Circuit.CLOSED
    assert circuit_after("+" + "-" * FAILURES_TO_BREAK) is Circuit.HALF_OPEN
    assert circuit_after("-" * FAILURES_TO_BREAK + "+") is Circuit.CLOSED
    assert answers_of(attempts("+"), is_disabled=True).circuit is Circuit.OPEN


def test_95_of_100_attempts_ended_within_the_p95() -> None:
    slow = [*attempts("+" * 95), *attempts("-" * 5, seconds=9.0)]
    assert answers_of(slow, is_disabled=False).p95_seconds == 0.1
    assert answers_of([*slow[1:], *attempts("-", seconds=2.0)], is_disabled=False).p95_seconds == 2.0
    assert answers_of(attempts("-", seconds=3.0), is_disabled=False).p95_seconds == 3.0
