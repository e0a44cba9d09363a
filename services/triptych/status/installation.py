"""Says for a gateway how its installation is: what `triptych status` says, with jobs, and without addresses."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from triptych.command.store.overview import JobState, Overview
from triptych.contract.base import format_instant
from triptych.kit.kafka.errors import NO_ANSWER
from triptych.kit.mongo.driver import Database
from triptych.kit.process.clock import utc_now
from triptych.kit.process.settings import KitSettings
from triptych.kit.upgrading.presence import RunningProcess
from triptych.status.collecting import Servers, answer_of, ask_servers, database_status
from triptych.status.report import Report, ServerStatus

__all__ = ["JobState", "SystemStatus", "services_without_process"]

JOBS_SHOWN = 50
SERVICES = ("command", "projector", "webhooks", "gateway")
"""Each needs a process."""


def services_without_process(processes: Sequence[RunningProcess]) -> list[str]:
    """The services without a running process."""
    seen = {process.service for process in processes}
    return [service for service in SERVICES if service not in seen]


class SystemStatus:
    """Asks the servers of an installation."""

    def __init__(self, settings: KitSettings, database: Database, kafka_problem: Callable[[], str | None]) -> None:
        """`kafka_problem` says why Kafka need not be asked; None if it has to be."""
        self._settings = settings
        self._database = database
        self._kafka_problem = kafka_problem

    async def ask(self) -> dict[str, Any]:
        """The status now, as JSON. A server that does not answer is part of it."""
        now = utc_now()

        async def ask_database() -> Any:
            return await database_status(self._database, now, _no_migrations)

        async def oldest_jobs() -> list[dict[str, Any]]:
            return await Overview(self._database).jobs_with_progress(JOBS_SHOWN)

        if self._kafka_problem() is not None:
            stored, database_server = await answer_of(ask_database)
            servers = Servers(ServerStatus(False, NO_ANSWER), database_server, None, stored)
            jobs, _ = await answer_of(oldest_jobs)
        else:
            servers, (jobs, _) = await asyncio.gather(ask_servers(self._settings, ask_database), answer_of(oldest_jobs))
        return _form(Report(format_instant(now), (), *servers), jobs or [])


def _form(report: Report, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    form = report.to_json()
    problems = list(form["problems"])
    if report.database is not None:
        missing = services_without_process(report.database.schema.processes)
        problems += [f"no process of the service {service} was seen in the last 30 s" for service in missing]
        form["jobs"]["oldest"] = jobs
    form.update(ok=not problems, problems=problems)
    return {name: value for name, value in form.items() if name not in ("services", "schema")}


async def _no_migrations(_stored: object) -> list[Any]:
    return []
