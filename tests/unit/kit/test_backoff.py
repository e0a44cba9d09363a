"""Pauses grow from failure to failure up to a limit, begin again after a success, and end early when interrupted."""

import asyncio

import pytest

from triptych.kit.backoff import Backoff, is_set_within, pause_after


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0.05), (2, 0.1), (3, 0.2), (6, 1.6), (7, 2.0), (1_000_000, 2.0)], ids=str
)
def test_a_pause_is_twice_as_long_as_the_one_before_up_to_the_limit(failures: int, seconds: float) -> None:
    assert pause_after(failures, 0.05, 2.0) == pytest.approx(seconds)


def test_each_pause_is_shortened_at_random_by_up_to_a_half() -> None:
    shares = []
    for _ in range(200):
        backoff = Backoff(0.05, 2.0)
        shares += [backoff.next_pause() / pause_after(failures, 0.05, 2.0) for failures in range(1, 9)]
    assert 0.5 <= min(shares) < 0.55
    assert 0.95 < max(shares) <= 1.0


def test_after_a_success_pauses_begin_again() -> None:
    backoff = Backoff(1.0, 60.0)
    for _ in range(4):
        last = backoff.next_pause()
    assert last >= 4.0
    backoff.reset()
    assert backoff.next_pause() <= 1.0


async def test_a_pause_ends_early_when_it_is_interrupted() -> None:
    interrupted = asyncio.Event()
    pausing = asyncio.create_task(Backoff(3_600.0, 3_600.0).pause(interrupted))
    await asyncio.sleep(0)
    assert not pausing.done()
    interrupted.set()
    await asyncio.wait_for(pausing, 10)


async def test_an_event_that_does_not_come_is_waited_for_no_longer_than_said() -> None:
    event = asyncio.Event()
    assert not await is_set_within(event, 0.01)
    event.set()
    assert await is_set_within(event, 0.0)
