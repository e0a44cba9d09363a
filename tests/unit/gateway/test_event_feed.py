"""The feed of events is open while streams need it, once for all of them, and some time longer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from triptych.gateway.live import event_feed as event_feed_module
from triptych.gateway.live.event_feed import EventFeed
from triptych.gateway.live.feed import TopicFeed
from triptych.kit.failures import NotYetAvailable, TransientFailure

IDLE_SECONDS = 0.02


class Kafka:
    """Counts the feeds that are opened and closed. An opening waits for `may_open`, and fails with `failure`."""

    def __init__(self) -> None:
        self.opened = self.closed = 0
        self.may_open, self.may_close = asyncio.Event(), asyncio.Event()
        self.may_open.set()
        self.may_close.set()
        self.failure: Exception | None = None

    @asynccontextmanager
    async def feed(self) -> AsyncIterator[TopicFeed]:
        await self.may_open.wait()
        if self.failure is not None:
            raise self.failure
        self.opened += 1
        yield cast("TopicFeed", SimpleNamespace(problem="a partition cannot be read"))
        await self.may_close.wait()
        self.closed += 1


@asynccontextmanager
async def running(kafka: Kafka, idle_seconds: float = IDLE_SECONDS) -> AsyncIterator[EventFeed]:
    feed = EventFeed(kafka.feed, idle_seconds)
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_nothing_is_read_before_the_first_stream() -> None:
    kafka = Kafka()
    async with running(kafka) as feed:
        await asyncio.sleep(2 * IDLE_SECONDS)
        assert (kafka.opened, feed.is_open, feed.problem) == (0, False, None)


async def test_all_streams_share_one_feed_until_the_last_has_been_gone_for_a_while() -> None:
    kafka = Kafka()
    async with running(kafka) as feed:
        async with feed.following():
            async with feed.following(), feed.following():
                assert (kafka.opened, feed.is_open, feed.problem) == (1, True, "a partition cannot be read")
            await asyncio.sleep(3 * IDLE_SECONDS)
            assert (kafka.opened, kafka.closed) == (1, 0)
        await until(lambda: kafka.closed)
        assert (feed.is_open, feed.problem) == (False, None)
        async with feed.following():
            assert (kafka.opened, kafka.closed) == (2, 1)


async def test_a_stream_that_resumes_soon_finds_the_feed_open() -> None:
    kafka = Kafka()
    async with running(kafka, idle_seconds=60) as feed:
        for _ in range(3):
            async with feed.following():
                pass
            await asyncio.sleep(0.01)
        assert (kafka.opened, kafka.closed) == (1, 0)


async def test_a_stream_that_begins_while_the_feed_closes_gets_another_one() -> None:
    kafka = Kafka()
    kafka.may_close.clear()
    async with running(kafka) as feed:
        async with feed.following():
            pass
        await until(lambda: not feed.is_open)
        async with AsyncExitStack() as stack:
            beginning = asyncio.create_task(stack.enter_async_context(feed.following()))
            await asyncio.sleep(0.01)
            assert (kafka.opened, kafka.closed, beginning.done()) == (1, 0, False)
            kafka.may_close.set()
            await beginning
            assert (kafka.opened, kafka.closed) == (2, 1)


async def test_streams_are_told_that_events_cannot_be_read_and_later_ones_try_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_feed_module, "FIRST_PAUSE_SECONDS", 0.001)
    kafka = Kafka()
    kafka.may_open.clear()
    kafka.failure = NotYetAvailable("no broker answers")

    async def follow(feed: EventFeed) -> None:
        async with feed.following():
            pytest.fail("begun")

    async with running(kafka) as feed:
        waiting = [asyncio.create_task(follow(feed)) for _ in range(3)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()  # which must not end the wait of the others
        kafka.may_open.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError, TransientFailure, TransientFailure]
        kafka.failure = None
        async with feed.following():
            assert kafka.opened == 1


async def test_a_gateway_that_stops_lets_no_stream_wait() -> None:
    kafka = Kafka()
    kafka.may_open.clear()
    async with running(kafka) as feed:
        waiting = asyncio.create_task(feed.following().__aenter__())
        await asyncio.sleep(0.01)
    with pytest.raises(TransientFailure):
        await waiting
