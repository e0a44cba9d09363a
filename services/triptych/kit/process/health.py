"""Says over HTTP whether a process is alive and whether it is ready, and serves its metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from triptych.kit.process.supervision import SUPERVISOR, Supervisor
from triptych.kit.process.waits import WAITS, Waits

Check: TypeAlias = Callable[[], Awaitable[str | None]]
CHECK_TIMEOUT_SECONDS = 2.0


class Health:
    """Named checks. Each returns None when all is well, otherwise the problem in words."""

    def __init__(self, waits: Waits = WAITS, supervisor: Supervisor = SUPERVISOR) -> None:
        self._waits = waits
        self._supervisor = supervisor
        self._checks: dict[str, Check] = {}
        self._details: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Make readiness depend on `check`, which has two seconds to answer."""
        self._checks[name] = check

    def add_detail(self, name: str, check: Check) -> None:
        """Show what `check` finds in the details of readiness, without making the process unready."""
        self._details[name] = check

    async def problems(self) -> dict[str, str]:
        """The problems by name of check, and the waits that last too long; empty when ready."""
        problems = await _results(self._checks)
        waits = [f"for {what}, for {seconds:.0f} s" for what, seconds in self._waits.problems().items()]
        loops = self._supervisor.problems()
        return {
            **problems,
            **({"waiting": "; ".join(waits)} if waits else {}),
            **({"loops": "; ".join(loops)} if loops else {}),
        }

    def routes(self) -> list[Route]:
        """`/health/live` (the process answers), `/health/ready` (200 or 503 with the problems) and `/metrics`."""

        async def live(_request: Request) -> Response:
            return JSONResponse({"status": "live"})

        async def ready(_request: Request) -> Response:
            problems = await self.problems()
            if problems:
                return JSONResponse({"status": "not ready", "problems": problems}, status_code=503)
            details = await _results(self._details)
            return JSONResponse({"status": "ready", **({"details": details} if details else {})})

        async def metrics(_request: Request) -> Response:
            return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

        return [Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", metrics)]


async def _results(checks: Mapping[str, Check]) -> dict[str, str]:
    results = await asyncio.gather(*(_run(check) for check in checks.values()))
    return {name: result for name, result in zip(checks, results, strict=True) if result is not None}


async def _run(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - a check that fails for any reason is a problem to report
        return f"{type(error).__name__}: {error}"
