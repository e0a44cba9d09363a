"""What a batch reports comes in one line for each event, with counts and a few examples."""

import asyncio
import logging
from typing import Any

import pytest

from tests.support.log_lines import logged
from triptych.kit.logs import batch_lines
from triptych.kit.logs.batch_lines import (
    EXAMPLES_MAX,
    KINDS_MAX,
    OTHER_KINDS,
    PATIENCE_SECONDS,
    BatchLines,
    TimedLines,
    gathered_in,
    one_line_each,
    report,
)
from triptych.kit.logs.loggers import get_logger

log = get_logger("triptych.test")


def refuse(*offsets: int, event: str = "refused", **same: Any) -> None:
    """Report that records are refused; even and odd offsets are the kinds."""
    report(log, logging.WARNING, event, offsets, lambda n: {"offset": n}, kind_of=lambda n: str(n % 2), **same)


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines so far, without what all of them have."""
    return [{k: v for k, v in line.items() if k not in ("level", "logger")} for line in logged(caplog.records)]


async def test_a_batch_writes_one_line_for_each_event_also_from_its_tasks(caplog: pytest.LogCaptureFixture) -> None:
    async def lane(number: int) -> None:
        for offset in range(1_000):
            refuse(1_000 * number + offset)
        refuse(number, event="other")

    with one_line_each():
        await lane(0)
        await asyncio.create_task(lane(1))
        assert told(caplog) == []
    examples = [{"offset": offset} for offset in range(EXAMPLES_MAX)]
    assert told(caplog) == [
        {"event": "refused", "count": 2_000, "kinds": {"0": 1_000, "1": 1_000}, "examples": examples},
        {"event": "other", "count": 2, "kinds": {"0": 1, "1": 1}, "examples": [{"offset": 0}, {"offset": 1}]},
    ]


def test_a_line_about_one_thing_has_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    with one_line_each():
        refuse(7, topic="t")
    assert told(caplog) == [{"event": "refused", "topic": "t", "count": 1, "kinds": {"1": 1}, "offset": 7}]


def test_nothing_is_written_without_things_or_below_the_level(caplog: pytest.LogCaptureFixture) -> None:
    with one_line_each():
        refuse()
        report(log, logging.DEBUG, "details", [1], lambda n: {"offset": n})
    assert told(caplog) == []


def test_fields_that_all_share_make_a_line_of_their_own(caplog: pytest.LogCaptureFixture) -> None:
    with one_line_each():
        for topic in ("a", "b", "a"):
            refuse(0, topic=topic)
    assert [(line["topic"], line["count"]) for line in told(caplog)] == [("a", 2), ("b", 1)]


def test_kinds_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    report(log, logging.WARNING, "odd", range(1_000), lambda n: {"offset": n}, kind_of=str)
    (line,) = told(caplog)
    assert len(line["kinds"]) == KINDS_MAX + 1
    assert line["kinds"][OTHER_KINDS] == 1_000 - KINDS_MAX


def test_the_first_exception_is_written_with_the_line(caplog: pytest.LogCaptureFixture) -> None:
    with one_line_each():
        for number in range(3):
            report(log, logging.ERROR, "failed", [number], lambda n: {"offset": n}, error=ValueError(number))
    (line,) = logged(caplog.records)
    assert (line["count"], str(line["exc_info"])) == (3, "0")


def test_a_batch_that_takes_long_writes_in_between(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    lines = BatchLines(lambda: now)
    with gathered_in(lines):
        for now in (0.0, PATIENCE_SECONDS - 1, PATIENCE_SECONDS, PATIENCE_SECONDS + 1):  # noqa: B007 - read by the clock
            refuse(0)
        assert [line["count"] for line in told(caplog)] == [3]
    lines.write()
    assert [line["count"] for line in told(caplog)] == [3, 1]


async def test_what_comes_after_the_end_of_the_batch_or_outside_is_written_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = asyncio.Event()

    async def late() -> None:
        await ended.wait()
        refuse(1)

    with one_line_each():
        task = asyncio.create_task(late())
    ended.set()
    await task
    refuse(2)
    assert [line["offset"] for line in told(caplog)] == [1, 2]


async def test_work_without_batches_is_gathered_for_a_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_lines, "GATHERED_SECONDS", 0.01)
    lines = TimedLines()
    with gathered_in(lines):
        for offset in range(100):
            refuse(offset)
    assert told(caplog) == []
    async with asyncio.timeout(10):
        while not told(caplog):
            await asyncio.sleep(0.01)
    with gathered_in(lines):
        refuse(100)
    lines.write()
    assert [line["count"] for line in told(caplog)] == [100, 1]
