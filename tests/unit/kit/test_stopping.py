"""One deadline for the whole stop: each step has its share, and a step that takes too long is cancelled."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.log_lines import logged
from triptych.cli import up
from triptych.kit.process.stopping import (
    ALL,
    BATCH,
    DATABASE,
    DELIVERIES,
    FORCED_SECONDS,
    HTTP,
    PRODUCERS,
    RELEASE,
    TRACES,
    StopDeadline,
    set_stop_deadline,
    stop_deadline,
)


def test_steps_share_one_deadline_that_begins_once() -> None:
    now = 100.0
    deadline = StopDeadline(clock=lambda: now)
    assert deadline.remaining(BATCH) == BATCH
    deadline.begin()
    now += 10.0
    deadline.begin()
    assert deadline.remaining(HTTP) == 0
    assert deadline.remaining(BATCH) == BATCH - 10
    assert deadline.remaining(ALL) == ALL - 10


def test_a_process_ends_before_its_supervisor_kills_it() -> None:
    shares = (HTTP, BATCH, DELIVERIES, RELEASE, PRODUCERS, DATABASE, TRACES, ALL, FORCED_SECONDS, up.STOP_SECONDS)
    assert list(shares) == sorted(set(shares))


async def test_a_step_that_takes_too_long_is_abandoned_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    deadline = StopDeadline(scale=0.01)
    deadline.begin()
    async with deadline.step("the batch", BATCH):
        await asyncio.Event().wait()
    (line,) = logged(caplog.records, "a step of the stop was abandoned, to end in time")
    assert line["step"] == "the batch"
    is_done = False
    async with deadline.step("the rest", ALL):
        await asyncio.sleep(0)
        is_done = True
    assert is_done


async def test_a_timeout_inside_of_a_step_is_not_the_end_of_the_step() -> None:
    deadline = StopDeadline()
    deadline.begin()
    with pytest.raises(TimeoutError, match="planted"):
        async with deadline.step("the batch", BATCH):
            raise TimeoutError("planted")


async def test_all_that_is_left_is_cancelled_at_the_end() -> None:
    deadline, closed = StopDeadline(scale=0.01), []

    async def work() -> None:
        try:
            try:
                await asyncio.Event().wait()
            finally:
                closed.append("first")
                await asyncio.Event().wait()
        finally:
            closed.append("second")
            await asyncio.Event().wait()

    deadline.begin()
    task = asyncio.create_task(work())
    await deadline.finish(task)
    assert task.cancelled()
    assert closed == ["first", "second"]


async def test_what_is_closed_before_the_stop_has_a_deadline_of_its_own() -> None:
    process = StopDeadline()
    set_stop_deadline(process)
    assert stop_deadline() is not process
    assert not process.has_begun
    process.begin()
    assert stop_deadline() is process


SERVICE = """
import asyncio, sys
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from triptych.kit.process import stopping
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.lifecycle import run_service

stopping.ALL, stopping.FORCED_SECONDS = 0.5, 1.5

async def hang():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if sys.argv[1] == "cancelled":
                raise

@asynccontextmanager
async def compose(settings):
    try:
        yield Starlette()
        print("composed", flush=True)
    finally:
        await hang()

raise SystemExit(run_service("planted", KitSettings, compose, lambda settings: 0))
"""


@pytest.mark.parametrize(
    ("hangs", "status", "words"),
    [("cancelled", os.EX_OK, "was abandoned"), ("for ever", os.EX_TEMPFAIL, "is ended by force")],
)
def test_a_service_that_hangs_at_its_end_ends_by_itself(hangs: str, status: int, words: str) -> None:
    command = [sys.executable, "-u", "-c", SERVICE, hangs]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        assert child.stdout is not None
        lines = []
        for line in child.stdout:
            lines.append(line)
            if "the service listens" in line:
                break
        before = time.monotonic()
        child.send_signal(signal.SIGTERM)
        rest = child.stdout.read()
        assert child.wait(30) == status, [*lines, rest]
        assert time.monotonic() - before < 10
        assert words in rest
