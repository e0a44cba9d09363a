"""Lets commands see which processes use an installation, and ends a process that must not use it any longer.

Each service has a document with the schema version that it knows, and renews it regularly. Before the oldest build that
may use the data is raised, these documents show whether an older process runs (`triptych.kit.upgrading.adoption`). The
order excludes a race: a process first announces itself and then reads the version, and whoever raises it first writes
the version and then reads which processes are there. So at least one of the two sees the other.
"""

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import Database, PyMongoError
from triptych.kit.mongo.schema_version import THIS_BUILD, Build, StoredVersion, read_stored_version, refusal
from triptych.kit.own_command import as_typed
from triptych.kit.process.supervision import SUPERVISOR, progress

log = get_logger(__name__)

PROCESSES = "processes"
LEASE_SECONDS = 30.0
"""How long a process counts as running after it was last seen."""
RENEWAL_SECONDS = 10.0
LEAVING_SECONDS = 1.0
"""How long a process that stops tries to remove its document. Otherwise the document stays for `LEASE_SECONDS`."""
LOOP = "presence"


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process that uses the installation: its service, host and number, release, and the schema version it knows."""

    service: str
    instance: str
    release: str
    schema_version: int


async def running_processes(database: Database) -> list[RunningProcess]:
    """The processes that were seen within `LEASE_SECONDS`, by service and instance. Raises the driver's errors."""
    found = await database[PROCESSES].find({"$expr": {"$gt": ["$until", "$$NOW"]}}).to_list(None)
    processes = [
        RunningProcess(each["service"], each["instance"], each["release"], each["schemaVersion"]) for each in found
    ]
    return sorted(processes, key=lambda process: (process.service, process.instance))


@asynccontextmanager
async def present(database: Database, service: str, build: Build = THIS_BUILD) -> AsyncIterator[None]:
    """Announce this process while the block runs. If the data needs a newer build meanwhile, the process ends.

    Raises:
        StartRefused: this build must not use the data.
        NotYetAvailable: older processes may run that cannot read what this build writes.
        The driver's errors.
    """
    presence = Presence(database, service, build)
    try:
        stored = await presence.announce()
        if (problem := refusal(stored, build)) is not None:
            raise StartRefused(problem)
        if stored.oldest_build < build.written_for:
            raise NotYetAvailable(f"Older builds are not excluded yet. Run: {as_typed('provision')}")
        async with SUPERVISOR.running(LOOP, presence.run, may_end=lambda: presence.has_ended):
            yield
    finally:
        with contextlib.suppress(PyMongoError, TimeoutError):
            async with asyncio.timeout(LEAVING_SECONDS):
                await presence.leave()


class Presence:
    """The document of one process."""

    def __init__(self, database: Database, service: str, build: Build = THIS_BUILD) -> None:
        self._database = database
        self._processes = database[PROCESSES]
        self._build = build
        self._id = str(uuid.uuid4())
        self._fields = {
            "service": service,
            "instance": f"{socket.gethostname()}-{os.getpid()}",
            "release": version("triptych"),
            "schemaVersion": build.version,
            "until": {"$add": ["$$NOW", int(LEASE_SECONDS * 1000)]},
        }
        self.has_ended = False
        """Whether this process was told to end."""

    async def announce(self) -> StoredVersion:
        """Renew the document; the version that the data has now. Raises the driver's errors."""
        await self._processes.update_one({"_id": self._id}, [{"$set": self._fields}], upsert=True)
        return await read_stored_version(self._database)

    async def run(self) -> None:
        """Renew the document until this process has to end, and remove those of processes that were killed."""
        while True:
            progress()
            await asyncio.sleep(RENEWAL_SECONDS)
            try:
                problem = refusal(await self.announce(), self._build)
                await self._processes.delete_many({"$expr": {"$lte": ["$until", "$$NOW"]}})
            except PyMongoError as error:
                log.warning("the list of processes was not renewed", error=error)
                continue
            if problem is not None:
                self.has_ended = True
                SUPERVISOR.end_process(LOOP, problem)
                return

    async def leave(self) -> None:
        """Remove the document. Raises the driver's errors."""
        await self._processes.delete_one({"_id": self._id})
