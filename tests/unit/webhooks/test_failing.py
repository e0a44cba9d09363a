"""A listener is disabled if it fails all the time, but not for two failures far apart."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.webhooks.model.failing import LONGEST_PAUSES, FailureRun, after_failure, is_overdue, must_be_stored

DAYS = timedelta(days=5)
START = datetime(2026, 1, 1, tzinfo=UTC)
SUCCESS = "success"
DAILY = [24.0 * day for day in range(6)]

# The hours of failed attempts, with SUCCESS between some of them; whether the listener is disabled at the end.
CASES: dict[str, tuple[Sequence[float | str], bool]] = {
    "once": ([0], False),
    "twice, far apart": ([0, 200], False),
    "twice, exactly the limit apart": ([0, 120], False),
    "once a week, for a year": ([168.0 * week for week in range(52)], False),
    "many at the beginning and one at the end": ([*(minute / 60 for minute in range(60)), 120], False),
    "many at both ends": ([0, 1, 2, 3, 118, 119, 120, 121], False),
    "every day": ([*DAILY], True),
    "every day, but not long enough": (DAILY[:5], False),
    "every 30 hours": ([0, 30, 60, 90, 120], True),
    "every 31 hours": ([31.0 * time for time in range(20)], False),
    "every hour": ([float(hour) for hour in range(121)], True),
    "with a success in the middle": ([*DAILY[:3], SUCCESS, *DAILY[3:]], False),
    "with a success and then long enough": ([*DAILY, SUCCESS, *(121 + hour for hour in DAILY)], True),
    "with a pause and then long enough": ([0, 1, *(60 + hour for hour in DAILY)], True),
}


def last_run(attempts: Sequence[float | str]) -> FailureRun | None:
    run = None
    for attempt in attempts:
        run = None if isinstance(attempt, str) else after_failure(run, START + timedelta(hours=attempt), DAYS)
    return run


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str) -> None:
    attempts, is_disabled = CASES[name]
    run = last_run(attempts)
    assert run is not None
    assert is_overdue(run, DAYS) == is_disabled


@given(st.lists(st.floats(0, 72), min_size=1, max_size=30))
def test_a_disabled_listener_has_failed_often_and_without_a_long_pause(pauses: list[float]) -> None:
    at, failures, run = START, [], None
    for pause in pauses:
        at += timedelta(hours=pause)
        failures.append(at)
        run = after_failure(run, at, DAYS)
        if is_overdue(run, DAYS):
            counted = [failure for failure in failures if failure >= run.since]
            assert len(counted) > LONGEST_PAUSES
            gaps = [later - earlier for earlier, later in itertools.pairwise(counted)]
            assert max(gaps) <= DAYS / LONGEST_PAUSES


def test_a_clock_that_goes_back_does_not_shorten_a_run() -> None:
    run = FailureRun(START, START + timedelta(hours=10))
    assert after_failure(run, START + timedelta(hours=9), DAYS) == run


def test_not_every_failure_is_stored() -> None:
    run = FailureRun(START, START)
    assert must_be_stored(None, run, DAYS)
    assert not must_be_stored(run, FailureRun(START, START + timedelta(minutes=5)), DAYS)
    assert must_be_stored(run, FailureRun(START, START + timedelta(hours=4)), DAYS)
    assert must_be_stored(run, FailureRun(START + timedelta(hours=1), START + timedelta(hours=1)), DAYS)
