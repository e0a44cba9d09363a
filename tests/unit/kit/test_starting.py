"""A service whose servers are away waits and says for what; it refuses to start only if waiting cannot help."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tests.support.log_lines import logged
from triptych.kit.failures import NotYetAvailable, StartRefused, TransientFailure
from triptych.kit.startup import starting
from triptych.kit.startup.starting import StartupApp, composed, transient_problem


def failing(*errors: Exception) -> Callable[[], AbstractAsyncContextManager[ASGIApp]]:
    """Raises one of these errors at each try, and then composes a service."""
    remaining = list(errors)

    @asynccontextmanager
    async def compose() -> AsyncIterator[ASGIApp]:
        if remaining:
            raise remaining.pop(0)
        yield Starlette(routes=[Route("/", lambda _: PlainTextResponse("served"))])

    return compose


async def test_it_is_live_and_unready_until_its_servers_are_there() -> None:
    startup_app = StartupApp("command")
    transport = httpx.ASGITransport(startup_app)
    slept: list[float] = []
    seen: list[dict[str, str]] = []
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

        async def check_instead_of_sleeping(pause: float) -> None:
            slept.append(pause)
            assert (await client.get("/health/live")).status_code == 200
            answer = await client.get("/health/ready")
            assert answer.status_code == 503
            seen.append(answer.json()["problems"])
            other = await client.get("/anything")
            assert (other.status_code, other.headers["retry-after"]) == (503, "1")

        compose = failing(NotYetAvailable("Kafka is away."), TransientFailure("MongoDB is away."))
        async with composed(compose, startup_app, check_instead_of_sleeping):
            assert (await client.get("/")).text == "served"
    assert seen == [{"start": "Kafka is away."}, {"start": "MongoDB is away."}]
    assert len(slept) == 2


async def has_said_something(startup_app: StartupApp) -> bool:
    """Whether the process serves HTTP by now."""
    waiting = asyncio.create_task(startup_app.until_it_says_something())
    done, _ = await asyncio.wait({waiting}, timeout=0)
    if not done:
        await asyncio.sleep(0)
        done, _ = await asyncio.wait({waiting}, timeout=0)
    waiting.cancel()
    return bool(done)


async def test_nobody_is_kept_waiting_while_it_is_built() -> None:
    startup_app = StartupApp("gateway")
    assert not await has_said_something(startup_app)
    async with composed(failing(), startup_app):
        assert await has_said_something(startup_app)


async def test_it_serves_health_once_it_waits_or_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, stops = StartupApp("x"), StartupApp("x")
    waits.wait_for("Kafka is away.")
    stops.end_silence()
    assert await has_said_something(waits)
    assert await has_said_something(stops)
    # A start that takes long ends the silence too.
    monkeypatch.setattr(starting, "SILENT_SECONDS", 0)
    assert await has_said_something(StartupApp("x"))


async def test_pauses_are_bounded() -> None:
    slept: list[float] = []

    async def sleep(pause: float) -> None:
        slept.append(pause)

    async with composed(failing(*[NotYetAvailable("away")] * 8), StartupApp("x"), sleep):
        pass
    for pause, longest in zip(slept, [0.25, 0.5, 1, 2, 4, 5, 5, 5], strict=True):
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize("error", [StartRefused("standalone"), KeyError("a fault of ours")])
async def test_what_waiting_does_not_resolve_is_raised_at_once(error: Exception) -> None:
    with pytest.raises(type(error)):
        async with composed(failing(error), StartupApp("x")):
            pass


def test_errors_of_the_drivers_are_distinguished() -> None:
    assert transient_problem(KafkaConnectionError("gone")) is not None
    assert transient_problem(TimeoutError()) is not None
    assert transient_problem(TopicAuthorizationFailedError("t")) is None


def test_a_problem_is_logged_once_and_then_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    startup_app = StartupApp("command", clock=lambda: now)
    for now in range(0, 125, 5):  # noqa: B007 - the clock reads it
        startup_app.wait_for("Kafka is away.")
        startup_app.wait_for("MongoDB is away.")
    problems = [line["problem"] for line in logged(caplog.records, "the service cannot start yet, and tries again")]
    assert problems == ["Kafka is away.", "MongoDB is away."] * 3
    assert len(caplog.records) == len(problems)
