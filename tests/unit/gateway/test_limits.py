"""The rate limit, with a clock that the test sets."""

import pytest

from triptych.gateway.access import limits
from triptych.gateway.access.limits import RateLimit
from triptych.gateway.http.errors import ApplicationFailure


class Clock:
    """A clock that the test sets, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def taken(limit: RateLimit, key: str, tries: int) -> int:
    """How many of `tries` requests are accepted."""
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


def test_a_burst_and_then_the_rate() -> None:
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


def test_a_refusal_says_when_to_try_again() -> None:
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


def test_the_number_of_buckets_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUCKETS_MAX", 2)
    limit = RateLimit(1, Clock())
    assert [taken(limit, key, 1) for key in ("a", "b", "c", "b", "a")] == [1, 1, 1, 0, 1]
