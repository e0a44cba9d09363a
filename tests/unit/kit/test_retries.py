"""Work that fails is tried again, at pauses that fit the cause of its failure."""

import asyncio

import pytest

from triptych.kit import backoff
from triptych.kit.failures import BriefStop, TransientFailure
from triptych.kit.kafka.consuming.batch_metrics import BatchMetrics
from triptych.kit.kafka.consuming.retries import FIRST_DELAY_SECONDS, Retries
from triptych.kit.process.supervision import Progress


async def pauses_of(monkeypatch: pytest.MonkeyPatch, error: Exception, failures: int) -> list[float]:
    """How long work paused, in seconds, after each of a number of failures with this error."""
    paused: list[float] = []

    async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
        paused.append(seconds)
        return event.is_set()

    monkeypatch.setattr(backoff, "is_set_within", is_set_within)

    async def work() -> None:
        if len(paused) < failures:
            raise error

    assert await Retries("t", BatchMetrics("t"), Progress()).until_done(work)
    return paused


async def test_pauses_grow_while_a_server_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = await pauses_of(monkeypatch, TransientFailure("away"), 8)
    assert pauses[-1] > 10 * FIRST_DELAY_SECONDS


async def test_the_end_of_a_brief_stop_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(await pauses_of(monkeypatch, BriefStop("stopped"), 8)) <= FIRST_DELAY_SECONDS
