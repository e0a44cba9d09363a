"""A loop that ends, fails, is cancelled or makes no progress is noticed, and its rule is followed."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest

from tests.support.log_lines import read_line
from tests.support.waiting import eventually
from triptych.kit.process import cancelling, supervision
from triptych.kit.process import dependencies as dependencies_module
from triptych.kit.process.dependencies import Dependencies
from triptych.kit.process.health import Health
from triptych.kit.process.supervision import Rule, Supervisor, progress, unlimited


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(supervision, "CANCEL_SECONDS", 0.05)


async def ends() -> None:
    """As a loop must not."""


async def fails() -> None:
    raise RuntimeError("planted")


async def cancels_itself() -> None:
    current = asyncio.current_task()
    assert current is not None
    current.cancel()
    await asyncio.sleep(0)


async def hangs() -> None:
    await asyncio.Event().wait()


async def cannot_be_cancelled() -> None:
    while True:
        try:
            await asyncio.sleep(0.2)
            return
        except asyncio.CancelledError:
            continue


DEATHS = {
    "ends": (ends, "ended"),
    "fails": (fails, "failed: RuntimeError('planted')"),
    "cancels itself": (cancels_itself, "was cancelled"),
    "hangs": (hangs, "has made no progress for 0.05 s"),
}


class Work:
    """Dies once, and then runs as it should."""

    def __init__(self, death: Callable[[], Awaitable[None]]) -> None:
        self.runs = 0
        self._death = death

    async def __call__(self) -> None:
        self.runs += 1
        if self.runs == 1:
            await self._death()
            return
        while True:
            progress()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("death", "words"), DEATHS.values(), ids=DEATHS)
async def test_a_loop_is_started_again(death: Callable[[], Awaitable[None]], words: str) -> None:
    supervisor, work, seen = Supervisor(), Work(death), []

    async def is_noticed() -> bool:
        seen.extend(supervisor.problems())
        return bool(seen)

    async def is_well_again() -> bool:
        return work.runs == 2 and not supervisor.problems()

    async with supervisor.running("outbox", work, stalled_seconds=0.05):
        await eventually(is_noticed, "the end is noticed")
        assert seen[0] == f"outbox {words}"
        await eventually(is_well_again, "the loop runs again")
    assert supervisor.problems() == []


@pytest.mark.parametrize(("death", "words"), DEATHS.values(), ids=DEATHS)
async def test_the_process_ends_with_a_loop_that_cannot_be_replaced(
    death: Callable[[], Awaitable[None]], words: str
) -> None:
    supervisor, work, exits = Supervisor(), Work(death), asyncio.Event()
    supervisor.on_exit = exits.set
    async with supervisor.running("jobs", work, Rule.EXIT, stalled_seconds=0.05), asyncio.timeout(5):
        await exits.wait()
        assert supervisor.problems() == [f"jobs {words}"]
        assert work.runs == 1


async def test_the_process_ends_with_a_loop_that_hangs_and_cannot_be_cancelled() -> None:
    supervisor, exits = Supervisor(), asyncio.Event()
    supervisor.on_exit = exits.set
    async with supervisor.running("jobs", cannot_be_cancelled, stalled_seconds=0.05), asyncio.timeout(5):
        await exits.wait()


async def test_a_loop_that_waits_for_work_is_well() -> None:
    supervisor = Supervisor()

    async def work() -> None:
        with unlimited():
            await hangs()

    async with supervisor.running("queue", work, stalled_seconds=0.05):
        with pytest.raises(AssertionError):
            await eventually(_has_problems(supervisor), "a problem", deadline_seconds=0.2)


async def test_a_loop_that_hangs_after_it_got_work_is_started_again() -> None:
    supervisor = Supervisor()

    async def work() -> None:
        progress()
        with unlimited():
            await asyncio.sleep(0.2)
        await hangs()

    async with supervisor.running("queue", work, stalled_seconds=0.05):
        await eventually(_has_problems(supervisor), "it has made no progress")


async def test_a_loop_is_not_blamed_while_a_server_is_away() -> None:
    dependencies, away = Dependencies(), True
    supervisor, work = Supervisor(dependencies), Work(hangs)

    async def ask() -> str | None:
        return "away" if away else None

    with dependencies.on(ask):
        async with supervisor.running("outbox", work, stalled_seconds=0.05):
            with pytest.raises(AssertionError):
                await eventually(_has_problems(supervisor), "a problem", deadline_seconds=0.3)
            away = False
            await eventually(_has_problems(supervisor), "a problem, because all servers answer")


@pytest.mark.parametrize("fails_by", ["raising", "hanging"])
async def test_a_server_that_cannot_be_asked_is_away(monkeypatch: pytest.MonkeyPatch, fails_by: str) -> None:
    monkeypatch.setattr(dependencies_module, "ANSWER_SECONDS", 0.05)
    dependencies = Dependencies()

    async def ask() -> str | None:
        if fails_by == "hanging":
            await hangs()
        raise RuntimeError("planted")

    with dependencies.on(ask):
        assert await dependencies.away()
    assert await dependencies.away() is None


async def test_a_process_whose_loop_has_died_is_not_ready() -> None:
    supervisor, exits = Supervisor(), asyncio.Event()
    supervisor.on_exit = exits.set
    async with supervisor.running("jobs", fails, Rule.EXIT), asyncio.timeout(5):
        await exits.wait()
        assert await Health(supervisor=supervisor).problems() == {"loops": "jobs failed: RuntimeError('planted')"}


async def test_a_loop_that_was_told_to_stop_may_end() -> None:
    supervisor = Supervisor()
    async with supervisor.running("claimer", ends, may_end=lambda: True) as running, asyncio.timeout(5):
        await running
        assert supervisor.problems() == []


SERVICE = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.supervision import SUPERVISOR, Rule
from triptych.kit.startup.lifecycle import run_service

async def ends():
    pass

@asynccontextmanager
async def compose(settings):
    async with SUPERVISOR.running("jobs", ends, Rule.EXIT):
        yield Starlette()

raise SystemExit(run_service("planted", KitSettings, compose, lambda settings: 0))
"""


def test_a_service_exits_with_a_failure_when_a_loop_cannot_be_replaced() -> None:
    ended = subprocess.run([sys.executable, "-c", SERVICE], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == os.EX_SOFTWARE, ended.stderr
    lines = [read_line(line) for line in (ended.stdout + ended.stderr).splitlines()]
    (line,) = [line for line in lines if line["event"] == "a loop has ended, and so does this process"]
    assert (line["loop"], line["problem"], line["level"]) == ("jobs", "ended", "critical")


async def test_what_is_not_a_loop_may_report_progress() -> None:
    progress()


async def test_the_end_of_the_block_ends_the_loop() -> None:
    supervisor, ended = Supervisor(), asyncio.Event()

    async def work() -> None:
        try:
            await hangs()
        finally:
            ended.set()

    async with supervisor.running("reader", work):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert ended.is_set()


def _has_problems(supervisor: Supervisor) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return bool(supervisor.problems())

    return ask


async def test_a_loop_ends_with_its_block_although_it_lost_a_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(cancelling, "AGAIN_SECONDS", 0.05)
    lost = ended = False

    async def loses_one() -> None:
        nonlocal lost, ended
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended = lost
                if lost:
                    raise
                lost = True

    async with asyncio.timeout(10), Supervisor().running("loop", loses_one):
        await asyncio.sleep(0.01)
    assert ended
