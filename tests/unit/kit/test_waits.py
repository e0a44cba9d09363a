"""A long wait is logged once, is measured, and makes the process unready; a short one leaves no trace."""

import asyncio
import logging

import pytest

from tests.support.log_lines import logged
from tests.support.waiting import eventually
from triptych.kit.process.health import Health
from triptych.kit.process.waits import Trouble, Waits

LONG = 0.05


@pytest.fixture
def waits() -> Waits:
    return Waits(LONG)


def gauge(waits: Waits) -> dict[str, float]:
    return {sample.labels["for"]: sample.value for metric in waits.collect() for sample in metric.samples}


async def until_long(waits: Waits) -> None:
    async def is_long() -> bool:
        return bool(waits.problems())

    await eventually(is_long, "the wait is long")
    await asyncio.sleep(0.01)  # the timer that logs may be a little later


async def test_a_short_wait_leaves_no_trace(waits: Waits, caplog: pytest.LogCaptureFixture) -> None:
    with waits.begin("something"):
        await asyncio.sleep(0)
    with waits.begin("another"):  # when this wait is long, the first one would have been long too
        await until_long(waits)
    assert not [record for record in caplog.records if "something" in record.getMessage()]
    assert waits.problems() == {}
    assert gauge(waits) == {"something": 0.0, "another": 0.0}


async def test_a_long_wait_is_logged_once_and_once_when_it_is_over(
    waits: Waits, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    health = Health(waits)
    with waits.begin("something"), waits.begin("something"):
        await until_long(waits)
        assert gauge(waits)["something"] >= LONG
        assert (await health.problems())["waiting"].startswith("for something, for ")
        with waits.begin("something"):
            await until_long(waits)
        assert len(caplog.records) == 1
    assert [(line["event"], line["waits_for"]) for line in logged(caplog.records)] == [
        ("a wait has become long", "something"),
        ("a long wait is over", "something"),
    ]
    assert await health.problems() == {}
    assert gauge(waits)["something"] == 0.0


async def test_several_failed_attempts_are_one_wait(waits: Waits) -> None:
    trouble = Trouble("something", waits)
    trouble.begin()
    await until_long(waits)
    trouble.begin()
    assert waits.problems()["something"] >= LONG
    trouble.end()
    trouble.end()
    assert waits.problems() == {}
