"""A process that dies before or after a hop of a batch, at each point of `failpoints.POINTS`, breaks no promise."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.chaos.judging import judge
from tests.support.chaos.observing import observe, until_quiet
from tests.support.chaos.receiver import ALLOWED, Receivers, open_receivers
from tests.support.chaos.watch import Watch, watching
from tests.support.chaos.workload import SITES, Workload, key_of, open_workload
from tests.support.command_mix import SITE, Sent
from tests.support.commands import TEXT, structured
from tests.support.failpoints import POINTS, VARIABLE, order
from tests.support.installation import PARTITIONS, Installation, open_installation
from tests.support.restarts import Instances, instances
from tests.support.sender import galleries_on
from tests.support.waiting import eventually
from triptych.devstack.addresses import Addresses
from triptych.gateway.access.keys import Scope, store_key

pytestmark = [
    pytest.mark.xdist_group("failpoints"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]

DEADLINE_SECONDS = 30.0
AT_START = {
    "before the claim",
    "after the claim",
    "after the events that were left",
}
"""Points that a process passes when it takes partitions over. It dies there after an earlier death at `LEFT`."""
LEFT = "after the commit"
IN_SHORT = {
    ("command", "before the commit"),
    ("command", "after Kafka has stored the events"),
    ("command", "before the mark in the outbox"),
    ("command", "before the commit of offsets"),
    ("command", "after the events that were left"),
    ("projector", "before the commit"),
    ("projector", "after the commit"),
    ("projector", "after Kafka has stored the join"),
    ("projector", "amid the storing of the history"),
    ("webhooks", "amid the storing of deliveries"),
    ("webhooks", "before the commit of offsets"),
    ("gateway", "after Kafka has stored the command"),
}
"""The points at which every run dies; at the others, the long form does."""
long = pytest.mark.skipif("TRIPTYCH_TEST_OUTAGE" not in os.environ, reason="part of `make soak`")
CASES = [
    pytest.param(
        service,
        (LEFT, point) if point in AT_START else (point,),
        id=f"{service} {point}",
        marks=() if (service, point) in IN_SHORT else long,
    )
    for service, points in POINTS.items()
    for point in points
]


@dataclass
class Product:
    """All services, whose processes die where the file says."""

    running: Instances
    workload: Workload
    watch: Watch
    receivers: Receivers
    file: Path
    cases: int = 0

    @property
    def installation(self) -> Installation:
        """Where they run."""
        return self.running.installation

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
        """Wait until no work is left, and judge everything so far."""
        await self.workload.finish()
        assert await until_quiet(self.installation, self.workload, self.watch) is None
        address = self.running.address("gateway-1")
        history, _ = await observe(self.installation, self.workload, self.receivers, address, PARTITIONS)
        violations = judge(history)
        assert not violations, "\n".join(map(str, violations[:5]))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    """All services, once for all points."""
    folder = tmp_path_factory.mktemp("points")
    file = folder / "die-at"
    os.environ[VARIABLE] = str(file)
    programs = {service: ("tests.support.failpoints", service) for service in POINTS}
    try:
        async with open_installation(stack) as installation:
            for site in SITES:
                scopes = [Scope.READ, Scope.MANAGE]
                await store_key(installation.database, key_of(site), site_id=site, scopes=scopes, name=site)
            async with (
                open_receivers(installation, random.Random(1)) as receivers,
                instances(
                    installation,
                    folder,
                    are_forks=True,
                    programs=programs,
                    webhooks_allowed_networks=ALLOWED,
                    history_retention=86_400,
                ) as running,
            ):
                receivers.heal()
                names = [f"{service}-1" for service in POINTS]
                for name in names:
                    running.start(name)
                await running.ready(*names)
                async with (
                    open_workload(installation, [running.address("gateway-1")], random.Random(1)) as workload,
                    watching(installation, workload) as watch,
                ):
                    yield Product(running, workload, watch, receivers, file)
    finally:
        del os.environ[VARIABLE]


@pytest.mark.parametrize(("service", "points"), CASES)
async def test_a_death_at_any_point_breaks_no_promise(product: Product, service: str, points: tuple[str, ...]) -> None:
    name = f"{service}-1"
    product.file.write_text(order(service, points[0]))
    async with product.writing(3) if service == "gateway" else contextlib.nullcontext():
        if service != "gateway":
            await product.send_commands()
        await product.dies(name)
        for point in points[1:]:
            product.file.write_text(order(service, point))
            product.running.start(name)
            await product.dies(name)
        product.running.start(name)
        await product.running.ready(name)
    await product.check()
