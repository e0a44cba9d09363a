"""The delay of the event loop is seen when somebody occupies it, and not otherwise."""

import asyncio
import time

import pytest
from prometheus_client import REGISTRY

from triptych.kit.process import loop_delay
from triptych.kit.process.loop_delay import measuring_loop_delay


def samples(upper: str) -> float:
    """How many samples there are up to this many seconds."""
    return REGISTRY.get_sample_value("triptych_event_loop_delay_seconds_bucket", {"le": upper}) or 0.0


async def test_whoever_occupies_the_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_delay, "INTERVAL_SECONDS", 0.01)
    async with measuring_loop_delay():
        await asyncio.sleep(0.05)
        before = samples("+Inf") - samples("0.25")
        assert samples("+Inf") > 0
        time.sleep(0.3)  # noqa: ASYNC251 - that is what is measured
        await asyncio.sleep(0.05)
        assert samples("+Inf") - samples("0.25") == before + 1
    ended = samples("+Inf")
    await asyncio.sleep(0.05)
    assert samples("+Inf") == ended
