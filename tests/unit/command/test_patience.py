"""A failed step of a job is tried again, and the job is given up after the patience has passed."""

from datetime import UTC, datetime, timedelta

from triptych.command.flow.step_retries import ATTEMPTS_MIN, RETRY_PERIOD, pause_seconds, should_give_up

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_job_is_given_up_within_minutes_and_never_after_only_a_few_attempts() -> None:
    passed, failures = timedelta(0), 0
    while not should_give_up(failures, SINCE, SINCE + passed, RETRY_PERIOD):
        failures += 1
        passed += timedelta(seconds=pause_seconds(failures, RETRY_PERIOD))
    assert RETRY_PERIOD <= passed <= RETRY_PERIOD + timedelta(seconds=15)
    assert 8 <= failures <= 20
    assert not should_give_up(ATTEMPTS_MIN - 1, SINCE, SINCE + timedelta(days=1), RETRY_PERIOD)
    assert should_give_up(ATTEMPTS_MIN, SINCE, SINCE + timedelta(days=1), RETRY_PERIOD)
    assert not should_give_up(1_000, SINCE, SINCE + timedelta(seconds=1), RETRY_PERIOD)


def test_short_patience_has_short_pauses() -> None:
    patience = timedelta(seconds=0.4)
    assert pause_seconds(50, patience) <= 0.05
    assert pause_seconds(1, RETRY_PERIOD) < pause_seconds(2, RETRY_PERIOD)
