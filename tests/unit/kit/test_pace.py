"""The pace of a consumer: it pauses only after small batches of several records."""

import pytest

from triptych.kit.kafka.reading.pace import LARGE_BATCH, Pace


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def pace_after(count: int, *, seconds: float, linger: float = 0.01) -> Pace:
    """The pace after a batch of `count` records that took `seconds`."""
    clock = Clock()
    pace = Pace(linger, clock)
    pace.polled(count)
    clock.now += seconds
    return pace


@pytest.mark.parametrize("count", [2, LARGE_BATCH - 1])
def test_it_pauses_after_a_small_batch_of_several_records(count: int) -> None:
    assert pace_after(count, seconds=1.0).pause() == 0.01


@pytest.mark.parametrize("count", [0, 1, LARGE_BATCH, 10 * LARGE_BATCH])
def test_a_lone_record_and_a_backlog_do_not_wait(count: int) -> None:
    assert pace_after(count, seconds=1.0).pause() == 0.0


def test_it_does_not_pause_for_longer_than_the_batch_took() -> None:
    assert pace_after(5, seconds=0.004).pause() == pytest.approx(0.004)


def test_it_does_not_pause_before_the_first_poll_or_without_a_limit() -> None:
    assert Pace(0.01, Clock()).pause() == 0.0
    assert pace_after(5, seconds=1.0, linger=0.0).pause() == 0.0
