"""Asks services, Kafka and MongoDB at the same time for their status; none of them may take more than 5 s."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

import httpx

from triptych.cli.migrations import MIGRATIONS
from triptych.cli.settings import CliSettings
from triptych.cli.status.kafka import kafka_status, lag_of
from triptych.cli.status.report import (
    DatabaseStatus,
    DeliveriesStatus,
    JobsStatus,
    OutboxStatus,
    Report,
    SchemaStatus,
    ServerStatus,
    ServiceStatus,
)
from triptych.command.store.overview import JobState, Overview
from triptych.contract.base import format_instant
from triptych.contract.topics import Topics
from triptych.history.retention import read_retention
from triptych.kit.failures import Fault, fault_of
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.mongo.schema_version import THIS_BUILD, read_stored_version
from triptych.kit.upgrading.presence import running_processes
from triptych.kit.upgrading.progress import migration_progress
from triptych.readmodel.versions import Versions
from triptych.webhooks.store.overview import deliveries_state

ANSWER_SECONDS = 4.5
"""How long each server and service may take to answer."""
JOBS_MAX = 10_000
T = TypeVar("T")


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
    database, kafka, found = await asyncio.gather(
        _answer(lambda: _database(settings, now)), _answer(lambda: kafka_status(settings)), asyncio.gather(*asked)
    )
    (stored, database_server), (streamed, kafka_server) = database, kafka
    if streamed is not None and stored is not None:
        groups, events = _readers_of_events(settings, stored), Topics(settings.topic_prefix).events
        lags, kafka_server = await _answer(lambda: asyncio.gather(*(lag_of(settings, each, events) for each in groups)))
        streamed = replace(streamed, lag=(*streamed.lag, *(lags or ())))
    return Report(format_instant(now), tuple(found), kafka_server, database_server, streamed, stored)


def _readers_of_events(settings: CliSettings, stored: DatabaseStatus) -> list[str]:
    """The consumer groups of events that exist or not according to what is stored."""
    history = [settings.history_group] if stored.has_history else []
    return [settings.projector_group(stored.view_version), *history]


async def _answer(ask: Callable[[], Awaitable[T]]) -> tuple[T | None, ServerStatus]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await ask(), ServerStatus(True)
    except TimeoutError:
        return None, ServerStatus(False, f"no answer within {ANSWER_SECONDS:g} s")
    except Exception as error:
        if fault_of(error) is Fault.OURS:
            raise
        return None, ServerStatus(False, str(error) or repr(error))


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
        overview = Overview(database)
        outbox, jobs, parked, deliveries, version, schema, retention = await asyncio.gather(
            overview.outbox(),
            overview.jobs(None, JOBS_MAX),
            overview.count_parked(),
            deliveries_state(database, now),
            Versions(database).active(),
            _schema(database),
            read_retention(database),
        )
    counts = {state: sum(job["state"] == state.value for job in jobs) for state in JobState}
    started = [job["startedDate"] for job in jobs if job["startedDate"]]
    return DatabaseStatus(
        OutboxStatus(outbox.rows, _age(outbox.oldest, now)),
        JobsStatus(
            running=counts[JobState.RUNNING],
            failing=counts[JobState.FAILING],
            finishing=counts[JobState.FINISHING],
            oldest_seconds=_age(min(started, default=None), now),
            waiting_commands=parked,
        ),
        DeliveriesStatus(deliveries.due, _seconds(deliveries.oldest_due, now), deliveries.dead),
        schema,
        version,
        has_history=retention is not None,
    )


async def _schema(database: Database) -> SchemaStatus:
    stored = await read_stored_version(database)
    migrations, processes = await asyncio.gather(
        migration_progress(database, MIGRATIONS, stored), running_processes(database)
    )
    return SchemaStatus(stored.version, stored.oldest_build, THIS_BUILD.version, tuple(migrations), tuple(processes))


def _age(time: str | None, now: datetime) -> float | None:
    return _seconds(None if time is None else datetime.fromisoformat(time), now)


def _seconds(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else round(max(0.0, (now - since.astimezone(UTC)).total_seconds()), 1)
