"""Asks Kafka and MongoDB at the same time how an installation is; neither may take more than 5 s."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias, TypeVar

from triptych.command.store.overview import JobState, Overview
from triptych.history.retention import read_retention
from triptych.kit.failures import Fault, fault_of
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.schema_version import THIS_BUILD, StoredVersion, read_stored_version
from triptych.kit.process.settings import KitSettings
from triptych.kit.upgrading.presence import running_processes
from triptych.kit.upgrading.progress import MigrationProgress
from triptych.readmodel.versions import Versions
from triptych.status.lag import kafka_status, lags_of_views
from triptych.status.report import (
    DatabaseStatus,
    DeliveriesStatus,
    JobsStatus,
    KafkaStatus,
    OutboxStatus,
    SchemaStatus,
    ServerStatus,
)
from triptych.webhooks.store.overview import deliveries_state

ANSWER_SECONDS = 4.5
"""How long each server may take to answer."""
JOBS_MAX = 10_000
T = TypeVar("T")
MigrationsOf: TypeAlias = Callable[[StoredVersion], Awaitable[Sequence[MigrationProgress]]]
"""Returns the migrations to report, for the version of the data."""


class Servers(NamedTuple):
    """What Kafka and MongoDB have answered; None for a server that was not reached."""

    kafka_server: ServerStatus
    database_server: ServerStatus
    kafka: KafkaStatus | None
    database: DatabaseStatus | None


async def ask_servers(settings: KitSettings, ask_database: Callable[[], Awaitable[DatabaseStatus]]) -> Servers:
    """The answers of both servers. `ask_database` returns `database_status`."""
    (stored, database_server), (streamed, kafka_server) = await asyncio.gather(
        answer_of(ask_database), answer_of(lambda: kafka_status(settings))
    )
    if streamed is not None and stored is not None:
        version, has_history = stored.view_version, stored.has_history
        lags, kafka_server = await answer_of(lambda: lags_of_views(settings, version, has_history=has_history))
        streamed = replace(streamed, lag=(*streamed.lag, *(lags or ())))
    return Servers(kafka_server, database_server, streamed, stored)


async def answer_of(ask: Callable[[], Awaitable[T]]) -> tuple[T | None, ServerStatus]:
    """What a server answers, or why it does not."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await ask(), ServerStatus(True)
    except TimeoutError:
        return None, ServerStatus(False, f"no answer within {ANSWER_SECONDS:g} s")
    except Exception as error:
        if fault_of(error) is Fault.OURS:
            raise
        return None, ServerStatus(False, str(error) or repr(error))


async def database_status(database: Database, now: datetime, migrations_of: MigrationsOf) -> DatabaseStatus:
    """What MongoDB knows at `now`."""
    overview = Overview(database)
    outbox, jobs, parked, deliveries, version, schema = await asyncio.gather(
        overview.outbox(),
        overview.jobs(None, JOBS_MAX),
        overview.count_parked(),
        deliveries_state(database, now),
        Versions(database).active(),
        _schema(database, migrations_of),
    )
    has_history = await read_retention(database) is not None
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
        has_history,
    )


async def _schema(database: Database, migrations_of: MigrationsOf) -> SchemaStatus:
    stored = await read_stored_version(database)
    migrations, processes = await asyncio.gather(migrations_of(stored), running_processes(database))
    return SchemaStatus(stored.version, stored.oldest_build, THIS_BUILD.version, tuple(migrations), tuple(processes))


def _age(time: str | None, now: datetime) -> float | None:
    return _seconds(None if time is None else datetime.fromisoformat(time), now)


def _seconds(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else round(max(0.0, (now - since.astimezone(UTC)).total_seconds()), 1)
