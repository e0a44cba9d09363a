"""A waiter is found by its key as long as its request lasts, however the request ends."""

import pytest

from triptych.gateway.writing.waiters import Waiters


def test_several_may_wait_for_one_key() -> None:
    waiters: Waiters[str, int] = Waiters()
    with waiters.waiting("a", 1) as one, waiters.waiting("b", 2):
        with waiters.waiting("a", 3):
            assert (one, list(waiters.waiting_for("a")), list(waiters.waiting_for("b"))) == (1, [1, 3], [2])
            assert len(waiters) == 2
        assert list(waiters.waiting_for("a")) == [1]
    assert list(waiters.waiting_for("a")) == []
    assert len(waiters) == 0


def test_nobody_waits_after_a_failure() -> None:
    waiters: Waiters[str, int] = Waiters()
    with pytest.raises(ValueError, match="planted"), waiters.waiting("a", 1):
        raise ValueError("planted")
    assert len(waiters) == 0
