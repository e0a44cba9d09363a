"""After the only MongoDB or the only Kafka stood still or died under load, work goes on soon and nothing is lost."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support.installation import Installation
from tests.support.own_servers import OwnServers
from tests.support.restarts import instances
from tests.support.servers import command_line, standing_still
from tests.support.trial import trial
from triptych.devstack.addresses import Addresses
from triptych.devstack.children import start_child
from triptych.devstack.ports import is_free
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.api.examples import DEV_KEY

BACK_SECONDS = 15.0
"""How soon work goes on once the server is back."""
START_SECONDS = 60.0
AWAY_SECONDS = 20.0
BEFORE_SECONDS, AFTER_SECONDS = 3.0, 8.0
SERVICES = ("command", "projector", "webhooks", "gateway")

Outage: TypeAlias = Callable[[OwnServers, str, Path], Awaitable[None]]

pytestmark = [
    pytest.mark.skipif("TRIPTYCH_TEST_OUTAGE" not in os.environ, reason="part of `make soak`"),
    pytest.mark.xdist_group("own-servers"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def stack(servers: OwnServers) -> Addresses:
    """Servers that can be stopped."""
    return servers.addresses


async def stand_still(servers: OwnServers, server: str, _folder: Path) -> None:
    with standing_still(servers.pids(server)):
        await asyncio.sleep(AWAY_SECONDS)


async def die(servers: OwnServers, server: str, folder: Path) -> None:
    (pid,) = servers.pids(server)
    command = command_line(pid)
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(AWAY_SECONDS / 4)
    restarted = start_child(command, log=folder / "servers" / f"{server}.log")
    servers.restarted.append(restarted)
    address = {"mongo": servers.addresses.mongo_uri, "kafka": servers.addresses.kafka_bootstrap}[server]
    port = int(re.findall(r":(\d+)", address)[0])
    await asyncio.to_thread(restarted.wait_until, lambda: not is_free(port), what=server, timeout=START_SECONDS)


@pytest.mark.parametrize("outage", [stand_still, die], ids=lambda outage: outage.__name__)
@pytest.mark.parametrize("server", ["mongo", "kafka"])
async def test_work_goes_on_soon_after(
    installation: Installation, servers: OwnServers, tmp_path: Path, server: str, outage: Outage
) -> None:
    await store_key(installation.database, DEV_KEY, site_id=None, scopes=list(Scope), name="recovery")
    async with instances(installation, tmp_path, are_forks=True) as running:
        names = [f"{service}-1" for service in SERVICES]
        for name in names:
            running.start(name)
        await running.ready(*names)
        async with trial(installation) as tried:
            async with tried.under_load(lambda: [running.address("gateway-1")]):
                await asyncio.sleep(BEFORE_SECONDS)
                await outage(servers, server, tmp_path)
                back_at = time.monotonic()
                await asyncio.sleep(AFTER_SECONDS)
            waits = tried.waits(back_at)
            print(f"\n{server}, {outage.__name__}", *waits, f"sent again because of {tried.refusals()}", sep="\n  ")
            await tried.check()
    assert max(wait.longest for wait in waits) < BACK_SECONDS
