"""Renders the status of an installation for one screen of a terminal."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from triptych.kit.upgrading.progress import MigrationState
from triptych.status.report import Report, SchemaStatus

_STYLES = {"ready": "green", "not ready": "yellow", "not reached": "red"}


def screen(report: Report, installation: str) -> RenderableType:
    """The whole screen; `installation` names the installation."""
    parts: list[RenderableType] = [Text(f"{installation}\n{report.at}", style="dim"), _services(report)]
    if report.kafka is not None:
        lags = [(lag.group, f"{lag.records:,} records", _age(lag.oldest_seconds)) for lag in report.kafka.lag]
        letters = [(dead.topic, f"{dead.records:,} dead letters", "") for dead in report.kafka.dead_letters]
        parts.append(_table("lag and dead letters", [*lags, *letters]))
    if report.database is not None:
        outbox, jobs, deliveries = report.database.outbox, report.database.jobs, report.database.deliveries
        states = f"{jobs.running:,} running, {jobs.failing:,} failing, {jobs.finishing:,} finishing"
        rows = [
            ("outbox", f"{outbox.rows:,} rows", _age(outbox.oldest_seconds)),
            ("jobs", f"{states}; {jobs.waiting_commands:,} commands wait", _age(jobs.oldest_seconds)),
            ("deliveries", f"{deliveries.due:,} due, {deliveries.dead:,} dead", _age(deliveries.oldest_due_seconds)),
        ]
        parts.append(_table("work", [*rows, *_schema(report.database.schema)]))
    problems = report.problems()
    lines = "\n".join(f"- {problem}" for problem in problems)
    parts.append(Text(f"\n{lines}", style="red") if problems else Text("\nall is well", style="green"))
    return Group(*parts)


def _schema(schema: SchemaStatus) -> Iterable[tuple[str, str, str]]:
    older = sum(process.schema_version < schema.known for process in schema.processes)
    processes = f"processes: {len(schema.processes):,}" + (f", of older builds: {older:,}" if older else "")
    yield "schema", f"version {schema.version}, this build knows {schema.known}; {processes}", ""
    for each in schema.migrations:
        if each.state is not MigrationState.DONE:
            share = f"{each.done:,} of {each.total:,}" if each.total is not None else ""
            yield "migration", f"{each.name} is {each.state.value}", share


def _services(report: Report) -> RenderableType:
    servers = (("Kafka", report.kafka_server), ("MongoDB", report.database_server))
    rows = [(name, "reached" if server.reached else "not reached", "") for name, server in servers]
    rows += [(service.name, service.state, service.address) for service in report.services]
    return _table("services", rows)


def _table(title: str, rows: Iterable[tuple[str, str, str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2))
    for first, second, third in rows:
        table.add_row(first, Text(second, style=_STYLES.get(second, "")), Text(third))
    return table


def _age(seconds: float | None) -> str:
    return "" if seconds is None else f"oldest {seconds:,.0f} s"
