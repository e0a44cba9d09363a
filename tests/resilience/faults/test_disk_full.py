"""The disk of MongoDB or Kafka is full under load: nothing acknowledged is lost, and work goes on once it has space."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.own_servers import OwnServers, own_servers
from tests.support.receiver import open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.restarts import Instances, instances
from tests.support.servers import command_line
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.trial import trial
from tests.support.waiting import eventually
from triptych.devstack.addresses import Addresses
from triptych.devstack.children import Child, start_child
from triptych.devstack.errors import StackUnavailable
from triptych.devstack.ports import is_free
from triptych.devstack.processes import processes_missing
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.api.examples import DEV_KEY
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

pytestmark = [
    pytest.mark.skipif("TRIPTYCH_TEST_OUTAGE" not in os.environ, reason="part of `make soak`"),
    pytest.mark.xdist_group("own-servers"),
    pytest.mark.timeout(400),
]

BACK_SECONDS = 15.0
"""How soon work goes on once the server is back."""
LEFT_BYTES = 64 << 10
"""What can still be written when the disk becomes full."""
DEATH_SECONDS = 120.0
"""MongoDB notices it at its next checkpoint, which is due each minute."""
FULL_SECONDS = 10.0
"""How long the disk stays full after the server has died of it."""
START_SECONDS = 60.0
STEADY_SECONDS = 1.0
BEFORE_SECONDS, AFTER_SECONDS = 3.0, 8.0
NAMES = ("command-1", "projector-1", "webhooks-1", "gateway-1")
SERVERS = ("mongo", "kafka")


class Servers:
    """The servers, each with a disk of its own."""

    def __init__(self, running: OwnServers, disks: dict[str, SmallDisk]) -> None:
        self.running = running
        self.disks = disks


@pytest.fixture(scope="module")
def on_disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers on small disks, once for both."""
    if lacks := processes_missing(os.environ):
        pytest.skip(f"needs servers of its own: {lacks[0]}")
    folder = tmp_path_factory.mktemp("disks")
    with ExitStack() as stack:
        disks = {name: stack.enter_context(small_disk(folder / name)) for name in SERVERS}
        try:
            running = stack.enter_context(own_servers(folder))
        except StackUnavailable as unavailable:
            raise pytest.fail.Exception(str(unavailable), pytrace=False) from None
        yield Servers(running, disks)


@pytest.fixture(scope="module")
def stack(on_disks: Servers) -> Addresses:
    """Servers whose disks can be full."""
    return on_disks.running.addresses


class FullDisk:
    """A server on a full disk, which is started again whenever it has ended."""

    def __init__(self, servers: Servers, server: str, folder: Path) -> None:
        self._servers = servers.running
        self._disk = servers.disks[server]
        self._server = server
        self._folder = folder
        (self._pid,) = self._servers.pids(server)
        self._command = command_line(self._pid)
        self._children: list[Child] = []
        addresses = self._servers.addresses
        address = {"mongo": addresses.mongo_uri, "kafka": addresses.kafka_bootstrap}[server]
        self._port = int(re.findall(r":(\d+)", address)[0])

    async def fill(self) -> None:
        """Fill the disk, and wait until the server has ended because of it."""
        self._disk.leave(LEFT_BYTES)

        async def has_ended() -> bool:
            return not command_line(self._pid)

        await eventually(has_ended, f"{self._server} ends on a full disk", deadline_seconds=DEATH_SECONDS)

    @asynccontextmanager
    async def supervising(self) -> AsyncIterator[None]:
        """Start the server again whenever it has ended, during the block."""
        task = asyncio.create_task(self._supervise())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _supervise(self) -> None:
        while True:
            # A process that was killed has no command line a moment before its listening socket is closed.
            if is_free(self._port) and (not self._children or self._children[-1].poll() is not None):
                log = self._folder / "servers" / f"{self._server}-{len(self._children)}.log"
                child = start_child(self._command, log=log)
                self._children.append(child)
                self._servers.restarted.append(child)
            await asyncio.sleep(0.2)

    async def empty(self) -> float:
        """Give the disk space, and wait until the server listens; the time from which work has to go on."""
        self._disk.grow()

        async def listens() -> bool:
            return bool(self._children) and self._children[-1].poll() is None and not is_free(self._port)

        while True:
            await eventually(listens, f"{self._server} listens", deadline_seconds=START_SECONDS)
            back_at, count = time.monotonic(), len(self._children)
            await asyncio.sleep(STEADY_SECONDS)
            # Otherwise it had run into the full disk a moment before.
            if await listens() and len(self._children) == count:
                print(f"\n{self._server} was started {count} times", flush=True)
                return back_at


def none_has_ended(running: Instances) -> bool:
    """Whether all services still run."""
    return all(running.service(name).child.poll() is None for name in NAMES)


@pytest.mark.parametrize("server", SERVERS)
async def test_nothing_is_lost_and_work_goes_on(
    installation: Installation, on_disks: Servers, tmp_path: Path, server: str
) -> None:
    await store_key(installation.database, DEV_KEY, site_id=None, scopes=list(Scope), name="disk")
    await ensure_indexes(installation.database, INDEXES)
    async with open_receiver() as receiver, instances(installation, tmp_path, are_forks=True) as running:
        await Admin(installation.database, make_sealer(relay_settings(installation))).subscribe(receiver.url())
        for name in NAMES:
            running.start(name)
        await running.ready(*NAMES)
        full = FullDisk(on_disks, server, tmp_path)
        async with trial(installation) as tried:
            async with tried.under_load(lambda: [running.address("gateway-1")]):
                await asyncio.sleep(BEFORE_SECONDS)
                await full.fill()
                async with full.supervising():
                    await asyncio.sleep(FULL_SECONDS)
                    back_at = await full.empty()
                    await asyncio.sleep(AFTER_SECONDS)
            waits = tried.waits(back_at)
            print(f"\n{server}", *waits, f"sent again because of {tried.refusals()}", sep="\n  ")
            assert none_has_ended(running)
            await tried.check(receiver)
    assert max(wait.longest for wait in waits) < BACK_SECONDS
