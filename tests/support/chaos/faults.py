"""The faults of a chaos run: what befalls a process or a server, and when recovery from it begins."""

import asyncio
import contextlib
import os
import random
import re
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.chaos.history import Component
from tests.support.own_servers import OwnServers
from tests.support.restarts import Instances
from tests.support.servers import command_line, standing_still
from triptych.devstack.children import start_child
from triptych.devstack.ports import is_free

SERVICES: tuple[Component, ...] = ("command", "projector", "webhooks", "gateway")
SERVERS: tuple[Component, ...] = ("kafka", "mongo")
KINDS = ("SIGKILL", "SIGTERM", "SIGSTOP")
BEYOND_SESSION_SECONDS = 10.0
"""How long a service stands still, unless said otherwise: the session in its consumer group lasts 6 s."""
NAMES = tuple(f"{service}-{number}" for service in SERVICES for number in (1, 2))
"""Two processes of each service."""
SERVER_FREEZE_SECONDS = 20.0
STAYS_SECONDS = 0.5, 2.5
"""How long a process that comes and goes stays at least and at most once it is ready."""
START_SECONDS = 60.0


class Plan(NamedTuple):
    """A fault to come."""

    kind: str
    component: Component


def all_plans(chance: random.Random) -> list[Plan]:
    """Each fault of each component once, at random."""
    plans = [Plan(kind, component) for kind in KINDS for component in (*SERVICES, *SERVERS)]
    chance.shuffle(plans)
    return plans


class Faults:
    """Carries out faults, and starts again what has ended, as a supervisor of processes does."""

    def __init__(
        self, running: Instances, servers: OwnServers, folder: Path, chance: random.Random, names: Sequence[str]
    ) -> None:
        self.names = names
        self._running = running
        self._servers = servers
        self._folder = folder
        self._chance = chance
        self._away: set[str] = set()
        self._still: set[str] = set()
        self._starts = 0
        self.unexpected: list[str] = []
        """Processes that ended although nobody told or killed them."""
        self.peaks: dict[str, int] = {}
        """The most resident bytes of each process name."""

    async def strike(self, plan: Plan) -> float:
        """Carry out a fault. The time from which recovery counts.

        For a service this is the beginning of the fault, since another one can take over. For a server it is the end:
        it has begun to listen again, or continues.
        """
        self._running.note(f"{plan.kind} of {plan.component}")
        if plan.component in SERVERS:
            return await self._strike_server(plan)
        name = self._chance.choice([name for name in self.names if name.startswith(plan.component)])
        began_at = time.monotonic()
        if plan.kind == "SIGSTOP":
            self._running.send(name, signal.SIGSTOP)
            self._still.add(name)
            return began_at
        self._away.add(name)
        if plan.kind == "SIGKILL":
            await self._running.kill(name)
        else:
            await self._running.stop(name)
        self._running.start(name)
        self._away.discard(name)
        return began_at

    async def come_and_go(self, seconds: float) -> int:
        """Let a third process of each service come and go for so long; the result is how often one came.

        Every other time it is killed, otherwise told to stop. So the partitions are divided again and again.
        """
        ends_at = time.monotonic() + seconds
        return sum(await asyncio.gather(*(self._come_and_go(f"{service}-3", ends_at) for service in SERVICES)))

    async def _come_and_go(self, name: str, ends_at: float) -> int:
        count = 0
        while time.monotonic() < ends_at:
            self._running.start(name)
            count += 1
            await self._running.ready(name)
            await asyncio.sleep(self._chance.uniform(*STAYS_SECONDS))
            if count % 2 and time.monotonic() < ends_at:
                await self._running.kill(name)
            else:
                await self._running.stop(name)
        return count

    async def heal(self, seconds: float = BEYOND_SESSION_SECONDS) -> None:
        """End faults that last: services that were stopped continue after this time."""
        if self._still:
            await asyncio.sleep(seconds)
        for name in self._still:
            self._running.send(name, signal.SIGCONT)
        self._still.clear()

    async def all_ready(self) -> None:
        """Wait until all services are ready."""
        await self._running.ready(*self.names)

    @contextlib.asynccontextmanager
    async def supervising(self) -> AsyncIterator[None]:
        """During the block, start again what has ended by itself, and note how much memory processes have."""
        task = asyncio.create_task(self._supervise())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _supervise(self) -> None:
        while True:
            for name in self.names:
                if name in self._away:
                    continue
                service = self._running.service(name)
                if (status := service.child.poll()) is not None:
                    self.unexpected.append(f"{name} ended by itself with status {status}")
                    self._running.start(name)
                else:
                    with contextlib.suppress(OSError):
                        self.peaks[name] = max(self.peaks.get(name, 0), service.resident_bytes)
            await asyncio.sleep(1)

    async def _strike_server(self, plan: Plan) -> float:
        if plan.kind == "SIGSTOP":
            with standing_still(self._servers.pids(plan.component)):
                await asyncio.sleep(SERVER_FREEZE_SECONDS)
            return time.monotonic()
        (pid,) = self._servers.pids(plan.component)
        command = command_line(pid)
        os.kill(pid, signal.Signals[plan.kind])
        address = getattr(self._servers.addresses, {"kafka": "kafka_bootstrap", "mongo": "mongo_uri"}[plan.component])
        port = int(re.findall(r":(\d+)", address)[0])
        ends_at = time.monotonic() + START_SECONDS
        # A process that was killed has no command line a moment before its listening socket is closed.
        while command_line(pid) or not is_free(port):
            assert time.monotonic() < ends_at, f"{plan.component} does not end"
            await asyncio.sleep(0.05)
        self._starts += 1
        child = start_child(command, log=self._folder / "servers" / f"{plan.component}-{self._starts}.log")
        self._servers.restarted.append(child)
        await asyncio.to_thread(child.wait_until, lambda: not is_free(port), what=plan.component, timeout=START_SECONDS)
        return time.monotonic()
