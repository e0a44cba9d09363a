"""Asks services, Kafka and MongoDB at the same time for their status; none of them may take more than 5 s."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import httpx

from triptych.cli.migrations import MIGRATIONS
from triptych.cli.settings import CliSettings
from triptych.contract.base import format_instant
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.upgrading.progress import migration_progress
from triptych.status.collecting import ask_servers, database_status
from triptych.status.report import DatabaseStatus, Report, ServiceStatus

ANSWER_SECONDS = 4.5
"""How long each service may take to answer."""


def addresses_of(settings: CliSettings) -> dict[str, str]:
    """Where the services of these settings serve their health, if they run on this machine."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - not bound, compared
    ports = {
        "command": settings.command_port,
        "projector": settings.projector_port,
        "webhooks": settings.webhooks_port,
        "gateway": settings.gateway_port,
    }
    return {name: f"http://{host}:{port}" for name, port in ports.items()}


async def collect(settings: CliSettings, services: Mapping[str, str], clock: Callable[[], datetime]) -> Report:
    """The status now; `services` has the addresses of the services by name."""
    now = clock()
    asked = [_service(name, address) for name, address in services.items()]
    servers, found = await asyncio.gather(
        ask_servers(settings, lambda: _database(settings, now)), asyncio.gather(*asked)
    )
    return Report(format_instant(now), tuple(found), *servers)


async def _service(name: str, address: str) -> ServiceStatus:
    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as client:
            answer = await client.get(f"{address}/health/ready")
            body = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return ServiceStatus(name, address, "not reached", {"http": str(error) or type(error).__name__})
    problems = body.get("problems") if isinstance(body, dict) else None
    words = {str(key): str(value) for key, value in problems.items()} if isinstance(problems, dict) else {}
    return ServiceStatus(name, address, "ready" if answer.status_code == httpx.codes.OK else "not ready", words)


async def _database(settings: CliSettings, now: datetime) -> DatabaseStatus:
    async with open_settings_database(settings) as database:
        return await database_status(database, now, lambda stored: migration_progress(database, MIGRATIONS, stored))
