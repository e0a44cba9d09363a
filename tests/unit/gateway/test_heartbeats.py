"""One timer beats for all streams that are quiet, and only while some are open."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from triptych.gateway.live import heartbeats as heartbeats_module
from triptych.gateway.live import subscription as subscription_module
from triptych.gateway.live.heartbeats import Heartbeats
from triptych.gateway.live.subscription import EventFilter, Heartbeat, Subscription

INTERVAL_SECONDS = 15.0
RECORD: Any = ConsumerRecord("events", 0, 7, 0, 0, b"g", b"{}", None, 0, 0, ())


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (heartbeats_module, subscription_module):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


def beating(streams: set[Subscription], problem: Callable[[], str | None] = lambda: None) -> Heartbeats:
    made = Heartbeats(streams, INTERVAL_SECONDS, lambda _: {0: 5}, problem)
    made.begin()
    return made


def ticked(heartbeats: Heartbeats, *streams: Subscription) -> list[bool]:
    """Which of the streams beat at a tick."""
    heartbeats._tick()
    return [not stream._queue.empty() for stream in streams]


async def test_each_stream_beats_before_it_has_been_quiet_for_longer_than_the_interval(clock: Clock) -> None:
    early, late = Subscription(EventFilter("s"), {}), Subscription(EventFilter("s"), {})
    clock.now += 5
    late.quiet_since = clock.now
    heartbeats = beating({early, late})
    beats = {0: 0.0, 1: 0.0}
    for second in range(6, 46):
        clock.now = 1_000.0 + second
        for number, has_beaten in enumerate(ticked(heartbeats, early, late)):
            if has_beaten:
                assert await (early, late)[number].next() == Heartbeat({0: 5}, None)
                assert 13 <= second - (beats[number] or 5 * number) <= INTERVAL_SECONDS
                beats[number] = second
    assert all(beats.values())


async def test_a_stream_with_events_does_not_beat(clock: Clock) -> None:
    stream = Subscription(EventFilter("s"), {})
    heartbeats = beating({stream})
    clock.now += 10
    stream.offer(RECORD)
    clock.now += 10
    assert ticked(heartbeats, stream) == [True]  # the record, which its client has not taken
    assert await stream.next() is RECORD
    assert ticked(heartbeats, stream) == [False]
    clock.now += 5
    assert ticked(heartbeats, stream) == [True]


async def test_every_stream_is_told_at_once_that_events_cannot_come_and_that_they_can() -> None:
    streams = [Subscription(EventFilter("s"), {}) for _ in range(3)]
    problems: list[str | None] = [None, "away", "away", None]
    heartbeats = beating(set(streams), lambda: problems[0])
    for problem, has_news in (("away", True), ("away", False), (None, True)):
        problems.pop(0)
        assert ticked(heartbeats, *streams) == [has_news] * 3
        for stream in streams if has_news else []:
            assert await stream.next() == Heartbeat({0: 5}, problem)


async def test_the_timer_ends_with_the_last_stream_and_begins_again_with_the_next() -> None:
    stream = Subscription(EventFilter("s"), {})
    streams = {stream}
    heartbeats = beating(streams)
    streams.clear()
    heartbeats._tick()
    timers = [heartbeats._timer]
    streams.add(stream)
    for _ in range(2):
        heartbeats.begin()
        timers.append(heartbeats._timer)
    none, begun, kept = timers
    assert none is None
    assert begun is not None
    assert begun is kept
    begun.cancel()
