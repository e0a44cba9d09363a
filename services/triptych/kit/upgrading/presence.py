"""Lets commands see which processes use an installation, and ends a process that must not use it any longer.

Each service has a document with the schema version that it knows, and renews it regularly. Before the oldest build that
may use the data is raised, these documents show whether an older process runs (`triptych.kit.upgrading.adoption`). The
order excludes a race: a process first announces itself and then reads the version, and whoever raises it first writes
the version and then reads which processes are there. So at least one of the two sees the other.

The document also names what the process holds elsewhere, such as its memberships in consumer groups. A process that is
started in place of a killed one finds that document, and releases what nobody holds any more (decision 38).
"""

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version

from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import Database, Document, PyMongoError
from triptych.kit.mongo.schema_version import THIS_BUILD, Build, StoredVersion, read_stored_version, refusal
from triptych.kit.own_command import as_typed
from triptych.kit.process.identity import ProcessIdentity, this_process
from triptych.kit.process.supervision import SUPERVISOR, progress

log = get_logger(__name__)

PROCESSES = "processes"
LEASE_SECONDS = 30.0
"""How long a process counts as running after it was last seen."""
RENEWAL_SECONDS = 10.0
LEAVING_SECONDS = 1.0
"""How long a process that stops tries to remove its document. Otherwise the document stays for `LEASE_SECONDS`."""
LOOP = "presence"
HELD_MAX = 50
"""A process holds a few things at a time. If it has noted more, the oldest are given up already."""


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


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a process holds in one place, by name."""

    left_behind: Sequence[str]
    """What killed predecessors of this process held there when it started."""
    note: Callable[[str], Awaitable[None]]
    """Note what this process is about to hold, so that its successor finds it. Raises the driver's errors."""


@asynccontextmanager
async def present(
    database: Database, service: str, build: Build = THIS_BUILD, instance_id: str = ""
) -> AsyncIterator["Presence"]:
    """Announce this process while the block runs. If the data needs a newer build meanwhile, the process ends.

    Args:
        database: of the installation.
        service: the name of the service or command.
        build: of this process.
        instance_id: stays the same when the process is started again; if empty, the name of the host stands for it.

    Raises:
        StartRefused: this build must not use the data.
        NotYetAvailable: older processes may run that cannot read what this build writes.
        The driver's errors.
    """
    presence = Presence(database, service, build, this_process(instance_id))
    try:
        stored = await presence.announce()
        if (problem := refusal(stored, build)) is not None:
            raise StartRefused(problem)
        if stored.oldest_build < build.written_for:
            raise NotYetAvailable(f"Older builds are not excluded yet. Run: {as_typed('provision')}")
        async with SUPERVISOR.running(LOOP, presence.run, may_end=lambda: presence.has_ended):
            await presence.find_predecessors()
            yield presence
    finally:
        with contextlib.suppress(PyMongoError, TimeoutError):
            async with asyncio.timeout(LEAVING_SECONDS):
                await presence.leave()


class Presence:
    """The document of one process."""

    def __init__(
        self,
        database: Database,
        service: str,
        build: Build = THIS_BUILD,
        identity: ProcessIdentity | None = None,
    ) -> None:
        self._database = database
        self._processes = database[PROCESSES]
        self._build = build
        self._service = service
        self._identity = identity or this_process()
        self._id = str(uuid.uuid4())
        self._held: list[Document] = []
        self._left_behind: list[Document] = []
        self._fields = {
            "service": service,
            "instance": f"{socket.gethostname()}-{os.getpid()}",
            "release": version("triptych"),
            "schemaVersion": build.version,
            "identity": {"$literal": asdict(self._identity)},
            "until": {"$add": ["$$NOW", int(LEASE_SECONDS * 1000)]},
        }
        self.has_ended = False
        """Whether this process was told to end."""

    async def announce(self) -> StoredVersion:
        """Renew the document; the version that the data has now. Raises the driver's errors."""
        await self._write()
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

    async def find_predecessors(self) -> None:
        """Find what killed predecessors have left behind in the last `LEASE_SECONDS`. Raises the driver's errors."""
        query = {
            "service": self._service,
            "identity.instance": self._identity.instance,
            "_id": {"$ne": self._id},
            "$expr": {"$gt": ["$until", "$$NOW"]},
        }
        found = await self._processes.find(query, {"identity": 1, "held": 1}).to_list(None)
        killed = [each for each in found if self._identity.replaces(_identity_of(each["identity"]))]
        self._left_behind = [held for each in killed for held in each.get("held", ())]

    def holdings(self, scope: str) -> Holdings:
        """What this process holds in one place, for example in the consumer group `scope`."""
        left_behind = tuple(held["name"] for held in self._left_behind if held["scope"] == scope)
        return Holdings(left_behind, lambda name: self._hold({"scope": scope, "name": name}))

    async def _hold(self, held: Document) -> None:
        self._held = [*self._held, held][-HELD_MAX:]
        await self._write()

    async def _write(self) -> None:
        fields = {**self._fields, "held": {"$literal": self._held}}
        await self._processes.update_one({"_id": self._id}, [{"$set": fields}], upsert=True)


def _identity_of(stored: Document) -> ProcessIdentity:
    return ProcessIdentity(stored["instance"], stored["table"], stored["number"], stored["started"])
