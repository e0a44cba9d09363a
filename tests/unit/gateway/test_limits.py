"""The rate limit, by a clock that the test turns."""

import pytest

from triptych.gateway.access import limits
from triptych.gateway.access.limits import RateLimit
from triptych.gateway.http.errors import ApplicationFailure


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def taken(limit: RateLimit, key: str, tries: int) -> int:
    """How many of so many requests are let in."""
    count = 0
    for _ in range(tries):
        try:
            limit.take(key)
        except ApplicationFailure:
            continue
        count += 1
    return count


def test_without_a_number_there_is_no_limit() -> None:
    assert taken(RateLimit(None), "k", 1_000) == 1_000


def test_a_full_bucket_then_as_many_as_time_allows() -> None:
    clock = Clock()
    limit = RateLimit(60, clock)
    assert taken(limit, "k", 100) == 60
    assert taken(limit, "other", 100) == 60
    clock.now = 3.5
    assert taken(limit, "k", 100) == 3
    clock.now = 4
    assert taken(limit, "k", 100) == 1
    clock.now = 1_000
    assert taken(limit, "k", 100) == 60


def test_it_says_when_to_come_again() -> None:
    clock = Clock()
    limit = RateLimit(6, clock)
    taken(limit, "k", 6)
    clock.now = 2.5
    with pytest.raises(ApplicationFailure) as caught:
        limit.take("k")
    assert (caught.value.status, caught.value.error["code"]) == (429, "RESOURCE_EXHAUSTED")
    assert caught.value.headers["Retry-After"] == "8"
    clock.now = 10.5
    limit.take("k")


def test_buckets_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUCKETS_MAX", 2)
    limit = RateLimit(1, Clock())
    assert [taken(limit, key, 1) for key in ("a", "b", "c", "b", "a")] == [1, 1, 1, 0, 1]
