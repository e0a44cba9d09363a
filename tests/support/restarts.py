"""Services that are killed or replaced while others wait for their work, and how long these have to wait."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from tests.support.forks import start_fork
from tests.support.installation import Installation
from tests.support.secrets import check_logs
from tests.support.servers import Service
from tests.support.waiting import eventually
from triptych.devstack.children import Child, start_child
from triptych.devstack.ports import LOOPBACK, free_ports

FIELDS = {"local": True, "webhooks_allowed_networks": "127.0.0.0/8"}
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 90.0

Ask = Callable[[], Awaitable[Awaitable[float]]]
"""Asks for work on each partition; the inner awaitable gives the time at which all of it was done."""


@dataclass(frozen=True)
class Wait:
    """How long work had to wait, in seconds, and what the new process has used of the machine meanwhile."""

    from_kill: float
    from_start: float
    """Since the process was started, imports included."""
    to_ready: float
    """From the start of the process until it was ready."""
    from_ready: float
    """Since the process was ready; 0 if the work was done before."""
    processor: float
    """The processor time of the process until it was ready and the work was done."""
    queued: float
    """How long the process could have run meanwhile, but other processes had the processors."""

    @property
    def alone(self) -> float:
        """What the wait since the kill would have been if nobody else had used the processors."""
        return self.from_kill - self.queued


class Instances:
    """Processes of the services. `command-1` is a command service; one that starts again keeps its port."""

    def __init__(
        self,
        installation: Installation,
        folder: Path,
        *,
        are_forks: bool,
        programs: Mapping[str, Sequence[str]] | None = None,
        environs: Mapping[str, Mapping[str, str]] | None = None,
        **fields: object,
    ) -> None:
        """Forks have imported everything when they start, which real processes have not.

        `programs` has the module to run and its arguments, by service, instead of that of the service. `environs` has
        variables of processes by their names; what is preloaded has an effect in real processes only.
        """
        self._programs = programs or {}
        self._environs = environs or {}
        self.installation = installation
        self._folder = folder
        self._are_forks = are_forks
        self._fields = {**FIELDS, **fields}
        self._ports: dict[str, int] = {}
        self._children: dict[str, Child] = {}
        self._starts = 0
        self.timeline: list[tuple[float, str]] = []
        """What happened to the processes, with the times of `time.monotonic`."""

    def note(self, what: str) -> None:
        """Add to the timeline."""
        self.timeline.append((time.monotonic(), what))

    def start(self, name: str) -> None:
        """Start a process; it is not ready yet."""
        self.note(f"{name} is started")
        service = name.partition("-")[0]
        if name not in self._ports:
            (self._ports[name],) = free_ports(1)
        self._starts += 1
        own = {**self._fields, f"{service}_port": self._ports[name]}
        environ = {**os.environ, **self.installation.environ(**own), **self._environs.get(name, {})}
        # An installed package has compiled modules. Without them, each start would compile two hundred of ours again.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        log = self._folder / f"{name}-{self._starts}.log"
        words = self._programs.get(service, (f"triptych.{service}",))
        if self._are_forks:
            self._children[name] = start_fork(*words, env=environ, log=log)
        else:
            self._children[name] = start_child([sys.executable, "-m", *words], env=environ, log=log)

    def used(self, name: str) -> tuple[float, float]:
        """The seconds that a process had a processor, and the seconds that it waited for one (proc(5))."""
        had, waited, _ = Path(f"/proc/{self._children[name].pid}/schedstat").read_text().split()
        return int(had) / 1e9, int(waited) / 1e9

    def address(self, name: str) -> str:
        """Where a process serves HTTP."""
        return f"http://{LOOPBACK}:{self._ports[name]}"

    async def ready(self, *names: str) -> float:
        """Wait until these processes are ready; gives the time."""

        async def are_ready() -> bool:
            return all([await self.service(name).is_ready() for name in names])

        await eventually(are_ready, f"{names} are ready", deadline_seconds=PATIENCE_SECONDS)
        self.note(f"{' and '.join(names)} ready")
        return time.monotonic()

    def service(self, name: str) -> Service:
        """The process that was started last under this name."""
        return Service(self._children[name], self.address(name))

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        self.note(f"{name} gets {number.name}")
        os.kill(self._children[name].pid, number)

    async def kill(self, name: str) -> float:
        """Kill a process and wait until it has ended; gives the time of the kill."""
        self.note(f"{name} is killed")
        before = time.monotonic()
        os.killpg(self._children[name].pid, signal.SIGKILL)
        await asyncio.to_thread(self._children[name].stop, 10)
        return before

    async def stop(self, name: str) -> None:
        """Tell a process to stop, and wait until it has ended."""
        self.note(f"{name} is told to stop")
        assert await asyncio.to_thread(self._children[name].stop, 30) == 0, name
        self.note(f"{name} has ended")

    def end(self) -> None:
        """Stop all processes, and check their logs."""
        for child in self._children.values():
            child.stop(20)
        check_logs(sorted(self._folder.glob("*.log")))


@contextlib.asynccontextmanager
async def instances(
    installation: Installation,
    folder: Path,
    *,
    are_forks: bool,
    programs: Mapping[str, Sequence[str]] | None = None,
    environs: Mapping[str, Mapping[str, str]] | None = None,
    **fields: object,
) -> AsyncIterator[Instances]:
    """No process yet; those that are started are stopped at the end of the block. The arguments are `Instances`'."""
    made = Instances(installation, folder, are_forks=are_forks, programs=programs, environs=environs, **fields)
    try:
        yield made
    finally:
        await asyncio.to_thread(made.end)


async def restart_after_kill(running: Instances, name: str, ask: Ask) -> Wait:
    """Kill a process, start it again at once, and ask it for work meanwhile."""
    killed_at = await running.kill(name)
    started_at = time.monotonic()
    running.start(name)
    done = await ask()
    done_at, ready_at = await asyncio.gather(done, running.ready(name))
    processor, queued = running.used(name)
    return Wait(
        from_kill=done_at - killed_at,
        from_start=done_at - started_at,
        to_ready=ready_at - started_at,
        from_ready=max(0.0, done_at - ready_at),
        processor=processor,
        queued=queued,
    )


async def take_over_after_kill(running: Instances, name: str, ask: Ask) -> float:
    """Kill one of several processes, and ask the others for its work; gives the seconds since the kill."""
    killed_at = await running.kill(name)
    done = await ask()
    return await done - killed_at


async def until_shared(installation: Installation, group: str, members: int) -> None:
    """Wait until a consumer group has this number of members and does not divide partitions anew."""
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.addresses.kafka_bootstrap)
    await admin.start()
    try:

        async def is_stable() -> bool:
            for described in await admin.describe_consumer_groups([group]):
                for _error, _group, state, _type, _protocol, found, *_ in described.groups:
                    return state == "Stable" and len(found) == members
            return False

        await eventually(is_stable, f"{group} has {members} members", deadline_seconds=PATIENCE_SECONDS)
    finally:
        await admin.close()
