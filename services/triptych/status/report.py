"""Defines what is reported about an installation, and decides what of it is wrong (pure).

The keys of `to_json` are stable: scripts rely on them (docs/command-line.md).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from triptych.contract.base import format_instant
from triptych.kit.own_command import as_typed
from triptych.kit.upgrading.presence import RunningProcess
from triptych.kit.upgrading.progress import MigrationProgress, MigrationState

LAG_SECONDS_MAX = 60.0
"""An older record that a service has not handled is a problem."""
OUTBOX_SECONDS_MAX = 60.0
"""An older event that is not published is a problem. Usually events stay in the outbox for 0.1 s."""
DUE_SECONDS_MAX = 60.0
"""A delivery that has been due for longer is a problem."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service at a known address; `problems` has its own words, by name of check."""

    name: str
    address: str
    state: str
    """`ready`, `not ready` or `not reached`."""
    problems: dict[str, str]


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """Whether Kafka or MongoDB could be asked; `problem` says why not."""

    reached: bool
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a consumer group is behind its topic; `oldest_seconds` is None if it is not behind or not known."""

    group: str
    topic: str
    records: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The records that a dead-letter topic has now. They stay for 30 days, also after they were dealt with."""

    topic: str
    records: int


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """Rows of events that are committed and not marked as published."""

    rows: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class JobsStatus:
    """Long-running work, by state, and the commands that wait for it."""

    running: int
    failing: int
    finishing: int
    oldest_seconds: float | None
    waiting_commands: int


@dataclass(frozen=True, slots=True)
class DeliveriesStatus:
    """Deliveries of active listeners that are due, and dead deliveries of all listeners."""

    due: int
    oldest_due_seconds: float | None
    dead: int


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """The schema version of the data, the oldest build that may use it, and the version that this build knows.

    `migrations` has those that have begun or are due, and `processes` all services that run, wherever that is.
    """

    version: int
    oldest_build: int
    known: int
    migrations: tuple[MigrationProgress, ...]
    processes: tuple[RunningProcess, ...]


@dataclass(frozen=True, slots=True)
class KafkaStatus:
    """What Kafka knows."""

    lag: tuple[Lag, ...]
    dead_letters: tuple[DeadLetters, ...]


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """What MongoDB knows; `view_version` is the version of the views that readers see.

    `has_history` says whether a history is written, by a consumer group of its own.
    """

    outbox: OutboxStatus
    jobs: JobsStatus
    deliveries: DeliveriesStatus
    schema: SchemaStatus
    view_version: int
    has_history: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The status of an installation at `at` (ISO 8601). A part is None if its server was not reached."""

    at: str
    services: tuple[ServiceStatus, ...]
    kafka_server: ServerStatus
    database_server: ServerStatus
    kafka: KafkaStatus | None
    database: DatabaseStatus | None

    def problems(self) -> list[str]:
        """What is wrong, in words; empty if all is well. Dead letters and dead deliveries alone are no problem."""
        return [*_servers(self), *_services(self.services), *_lags(self.kafka), *_work(self.database)]

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        problems = self.problems()
        kafka, database = self.kafka, self.database
        return {
            "at": self.at,
            "ok": not problems,
            "problems": problems,
            "services": [asdict(service) for service in self.services],
            "kafka": asdict(self.kafka_server),
            "mongodb": asdict(self.database_server),
            "lag": None if kafka is None else [_camel(asdict(lag)) for lag in kafka.lag],
            "deadLetters": None if kafka is None else [asdict(letters) for letters in kafka.dead_letters],
            "outbox": None if database is None else _camel(asdict(database.outbox)),
            "jobs": None if database is None else _camel(asdict(database.jobs)),
            "deliveries": None if database is None else _camel(asdict(database.deliveries)),
            "schema": None if database is None else _schema(database.schema),
            "processes": None if database is None else [_camel(asdict(one)) for one in database.schema.processes],
        }


def _servers(report: Report) -> list[str]:
    servers = (("Kafka", report.kafka_server), ("MongoDB", report.database_server))
    return [f"{name} was not reached: {server.problem}" for name, server in servers if not server.reached]


def _services(services: Sequence[ServiceStatus]) -> list[str]:
    found = []
    for service in services:
        if service.state == "ready":
            continue
        words = "; ".join(f"{name}: {problem}" for name, problem in service.problems.items())
        found.append(f"{service.name} at {service.address} is {service.state}" + (f" ({words})" if words else ""))
    return found


def _lags(kafka: KafkaStatus | None) -> list[str]:
    return [
        f"{lag.group} is {lag.records} records behind {lag.topic}, the oldest is {lag.oldest_seconds:.0f} s old"
        for lag in (kafka.lag if kafka else ())
        if lag.oldest_seconds is not None and lag.oldest_seconds > LAG_SECONDS_MAX
    ]


def _work(database: DatabaseStatus | None) -> list[str]:
    if database is None:
        return []
    outbox, jobs, deliveries = database.outbox, database.jobs, database.deliveries
    found = []
    if outbox.oldest_seconds is not None and outbox.oldest_seconds > OUTBOX_SECONDS_MAX:
        found.append(f"events have waited in the outbox for up to {outbox.oldest_seconds:.0f} s")
    if jobs.failing:
        found.append(f"{jobs.failing} jobs are failing")
    if deliveries.oldest_due_seconds is not None and deliveries.oldest_due_seconds > DUE_SECONDS_MAX:
        found.append(f"a delivery has been due for {deliveries.oldest_due_seconds:.0f} s")
    found += [
        f"the migration {each.name} was interrupted; {as_typed('migrate')} resumes it"
        for each in database.schema.migrations
        if each.state is MigrationState.INTERRUPTED
    ]
    return found


def _schema(schema: SchemaStatus) -> dict[str, Any]:
    return {
        "version": schema.version,
        "oldestBuild": schema.oldest_build,
        "known": schema.known,
        "migrations": [_migration(each) for each in schema.migrations],
    }


def _migration(progress: MigrationProgress) -> dict[str, Any]:
    return {
        "name": progress.name,
        "version": progress.version,
        "state": progress.state.value,
        "done": progress.done,
        "total": progress.total,
        "startedDate": None if progress.started_at is None else format_instant(progress.started_at),
        "movedDate": None if progress.moved_at is None else format_instant(progress.moved_at),
        "instance": progress.instance,
    }


def _camel(fields: dict[str, Any]) -> dict[str, Any]:
    def name(field: str) -> str:
        first, *rest = field.split("_")
        return first + "".join(part.capitalize() for part in rest)

    return {name(field): value for field, value in fields.items()}
