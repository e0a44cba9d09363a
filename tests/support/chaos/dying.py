"""Runs all services with the load and the judge of a chaos run, and makes a service die at a named point."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.chaos.following import Follower, following
from tests.support.chaos.judging import judge
from tests.support.chaos.observing import observe, until_quiet
from tests.support.chaos.receiver import ALLOWED, Receivers, open_receivers
from tests.support.chaos.recording import Recording, open_recording
from tests.support.chaos.running import store_keys
from tests.support.chaos.watch import Watch
from tests.support.chaos.workload import Pace, Workload, open_workload
from tests.support.command_mix import SITE, Sent
from tests.support.commands import TEXT, structured
from tests.support.failpoints import POINTS, VARIABLE, order
from tests.support.installation import PARTITIONS, Installation
from tests.support.restarts import Instances, instances
from tests.support.sender import galleries_on
from tests.support.waiting import eventually

DEADLINE_SECONDS = 30.0
SEED = 1
PACE = Pace(pause=0.05)
"""Of the writes over HTTP; commands on the topic are sent at once."""
HISTORY_SECONDS = 86_400
"""With a retention, the projector keeps the history, which has points too."""
NAMES = tuple(f"{service}-1" for service in POINTS)


@dataclass
class Dying:
    """All services, and everything that was sent to them and observed since they started."""

    running: Instances
    workload: Workload
    watch: Watch
    receivers: Receivers
    recording: Recording
    follower: Follower
    file: Path
    """Says where a process dies."""
    cases: int = 0

    def order(self, service: str, point: str) -> None:
        """From now on, this service dies when it comes to this point."""
        self.file.write_text(order(service, point))

    async def dies(self, name: str) -> None:
        """Wait until a process has killed itself, and forget the point."""

        async def has_ended() -> bool:
            return self.running.service(name).child.poll() is not None

        await eventually(has_ended, f"{name} dies {self.file.read_text()}", deadline_seconds=DEADLINE_SECONDS)
        assert self.running.service(name).child.poll() == -signal.SIGKILL
        self.file.unlink()

    async def send_commands(self) -> None:
        """Make, change and delete galleries on each partition."""
        self.cases += 1
        for place, gallery in enumerate(galleries_on(*range(PARTITIONS), *range(PARTITIONS))):
            steps: list[tuple[str, dict[str, Any]]] = [
                ("CreateGallery", {"gallery": {"items": [TEXT, TEXT]}}),
                ("CreateItems", {"items": [TEXT]}),
                ("UpdateGallery", {"gallery": {"name": "changed"}}),
            ]
            if place >= PARTITIONS:
                steps.append(("DeleteGallery", {}))
            for number, (kind, data) in enumerate(steps):
                command_id = f"{self.cases}-{place}-{number}"
                value = structured(kind, {"galleryId": gallery, **data}, id=command_id)
                await self.workload.send(Sent(gallery, command_id, value))

    @contextlib.asynccontextmanager
    async def writing(self, count: int) -> AsyncIterator[None]:
        """Write over HTTP during the block, and after it until this number of answers more have come."""
        writer = asyncio.create_task(self.workload.over_http(SITE))
        try:
            yield
            wanted = len(self.workload.answers) + count

            async def are_there() -> bool:
                return len(self.workload.answers) >= wanted

            await eventually(are_there, f"{count} answers", deadline_seconds=DEADLINE_SECONDS)
        finally:
            writer.cancel()
            await asyncio.wait({writer})

    async def check(self) -> None:
        """Wait until no work is left, and judge everything so far. Raises AssertionError for a broken promise."""
        await self.workload.finish()
        assert await until_quiet(self.running.installation, self.workload, self.watch) is None
        address = self.running.address("gateway-1")
        made = await observe(self.running.installation, self.workload, self.receivers, self.recording, address)
        await self.follower.until_read()
        assert not self.follower.missed
        parts = self.recording.parts(made, self.workload.commands, self.workload.answers)
        violations = [violation for part in parts for violation in judge(part)]
        assert not violations, "\n".join(map(str, violations[:5]))


@contextlib.asynccontextmanager
async def open_dying(installation: Installation, folder: Path) -> AsyncIterator[Dying]:
    """One process of each service during the block, all of them ready."""
    file = folder / "die-at"
    os.environ[VARIABLE] = str(file)
    try:
        await store_keys(installation)
        with open_recording(folder / "recording.sqlite") as recording:
            async with (
                open_receivers(installation, recording, random.Random(SEED)) as receivers,
                instances(
                    installation,
                    folder,
                    are_forks=True,
                    programs={service: ("tests.support.failpoints", service) for service in POINTS},
                    webhooks_allowed_networks=ALLOWED,
                    history_retention=HISTORY_SECONDS,
                ) as running,
            ):
                receivers.heal()
                for name in NAMES:
                    running.start(name)
                await running.ready(*NAMES)
                gateways = [running.address("gateway-1")]
                async with open_workload(installation, gateways, random.Random(SEED), PACE) as workload:
                    watch = Watch(workload)
                    async with following(installation, recording, watch) as follower:
                        yield Dying(running, workload, watch, receivers, recording, follower, file)
    finally:
        del os.environ[VARIABLE]
