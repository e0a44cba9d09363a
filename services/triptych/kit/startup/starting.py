"""Starts a service whose servers may be away: it retries until they answer, and its health says what it waits for."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from aiokafka.errors import KafkaError
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from triptych.kit.backoff import Backoff
from triptych.kit.failures import Fault, fault_of
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import PyMongoError
from triptych.kit.process.health import Health
from triptych.kit.process.http_bounds import Refusal, plain_refusal

log = get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
LOG_AGAIN_SECONDS = 60.0
SILENT_SECONDS = 5.0
"""How long a start may take before the process serves HTTP, which then says that it starts."""


class StartupApp:
    """The ASGI application of a process. Until the service has started, it serves health, and 503 for all else."""

    def __init__(
        self, name: str, refusal: Refusal = plain_refusal, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`name` is that of the service; `refusal` makes refusals; `clock` returns seconds."""
        self._name = name
        self._clock = clock
        self._logged_at: dict[str, float] = {}
        self._problem = "the service starts"
        self._has_news = asyncio.Event()
        health = Health()
        health.add("start", self._check)
        waiting = Starlette(routes=health.routes())
        waiting.router.default = _refusing(refusal)
        self._app: ASGIApp = waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the service, or to the application that stands in for it."""
        await self._app(scope, receive, send)

    async def until_it_says_something(self) -> None:
        """Wait until the service is complete, or waits for a server; for SILENT_SECONDS at most.

        Before, a request would get 503, and perhaps late, because the service is being built. If nothing listens on the
        port, its client tries another process at once.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENT_SECONDS):
                await self._has_news.wait()

    def end_silence(self) -> None:
        """Let `until_it_says_something` return, because the process stops."""
        self._has_news.set()

    def open(self, app: ASGIApp) -> None:
        """Let the service answer all requests from now on."""
        self._app = app
        self._has_news.set()
        if self._logged_at:
            log.info("everything that the service needs is available")

    def wait_for(self, problem: str) -> None:
        """Report why the service has not started: in its health, and in the log at most once a minute."""
        self._problem = problem
        self._has_news.set()
        now = self._clock()
        self._logged_at = {text: at for text, at in self._logged_at.items() if now - at < LOG_AGAIN_SECONDS}
        if problem not in self._logged_at:
            self._logged_at[problem] = now
            log.warning("the service cannot start yet, and tries again", problem=problem)

    async def _check(self) -> str:
        return self._problem


def _refusing(refusal: Refusal) -> ASGIApp:
    """An application that answers every request with 503."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        body, headers = refusal(503, "The service starts; what it needs is not there yet.")
        response = Response(body, 503, {"Retry-After": "1", **headers}, media_type="application/json")
        await response(scope, receive, send)

    return refuse


def transient_problem(error: Exception) -> str | None:
    """What the service lacks, in words, if waiting may resolve it; None for every other error."""
    if fault_of(error) is not Fault.DEPENDENCY:
        return None
    if isinstance(error, KafkaError):
        return f"Kafka is not ready: {error!r}"
    return f"MongoDB is not ready: {error}" if isinstance(error, PyMongoError) else str(error) or repr(error)


@asynccontextmanager
async def composed(
    compose: Callable[[], AbstractAsyncContextManager[ASGIApp]],
    startup_app: StartupApp,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Give `startup_app` the application that `compose` makes, as soon as it succeeds. Closes it with the block.

    Raises:
        StartRefused: waiting does not resolve the problem.
    """
    async with AsyncExitStack() as stack:
        startup_app.open(await _enter(compose, startup_app, stack, sleep))
        yield


async def _enter(
    compose: Callable[[], AbstractAsyncContextManager[ASGIApp]],
    startup_app: StartupApp,
    stack: AsyncExitStack,
    sleep: Callable[[float], Awaitable[None]],
) -> ASGIApp:
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    while True:
        try:
            return await stack.enter_async_context(compose())
        except Exception as error:
            problem = transient_problem(error)
            if problem is None:
                raise
            startup_app.wait_for(problem)
        await sleep(backoff.next_pause())
