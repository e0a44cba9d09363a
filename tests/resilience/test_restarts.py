"""A killed process is missed for no longer than its successor takes to start, and a replaced one not at all.

`TRIPTYCH_TEST_RESTARTS` sets the number of kills of the command service. Then the processes that are killed start as in
production, more is measured, and all figures are printed. Otherwise the session of a dead member is far longer than a
test may take, so a successor that waits for its end fails.
"""

import asyncio
import os
import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import PARTITIONS, Installation
from tests.support.receiver import Receiver, open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.restarts import (
    Ask,
    Instances,
    Wait,
    instances,
    restart_after_kill,
    take_over_after_kill,
    until_shared,
)
from tests.support.rolling_load import Load, account, reply_clock, summary
from tests.support.sender import galleries_on, sending
from tests.support.work_to_wait_for import answers, commands, deliveries, joined_records, projections
from tests.support.write_model import audit
from triptych.gateway.access.keys import Scope, store_key
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

RESTARTS = int(os.environ.get("TRIPTYCH_TEST_RESTARTS", "0"))
IS_LONG = bool(RESTARTS)
LONG_SESSION: dict[str, Any] = (
    {} if IS_LONG else {"group_session_timeout": 30, "group_rebalance_timeout": 60, "webhooks_shard_lease": 60}
)
EXPECTED_SECONDS = 15.0
"""The most that a start may take on a busy machine. It is half of the session."""
TAKEN_OVER_SECONDS = 12.0
"""The most until another process has taken over: twice the session."""
RESTART_SECONDS = 3.0
"""The most that work waits for a killed process that is started again at once, in the median (docs/guarantees.md)."""
PROCESSOR_SECONDS = 2.0
"""The most processor time that a start may take. More of it, and a busy machine takes many seconds for a start."""
WAIT_SECONDS = 3.0
"""The most that a command or a write over HTTP may wait while all processes are replaced, and that anything may wait
for a process that is ready."""
TIMEOUT = 120 + 40 * RESTARTS
KEY = "restarts-key"


async def kill_again_and_again(running: Instances, name: str, ask: Ask, kills: int) -> None:
    waits: list[Wait] = []
    for _ in range(kills):
        waits.append(await restart_after_kill(running, name, ask))
        print(waits[-1], flush=True)
    print(f"\n{name} killed and started again")
    print(summary("  from the kill to the answer", [wait.from_kill for wait in waits]))
    print(summary("  the same without the waits for a processor", [wait.alone for wait in waits]))
    print(summary("  from the start of the process to the answer", [wait.from_start for wait in waits]))
    print(summary("  from the start of the process to its readiness", [wait.to_ready for wait in waits]))
    print(summary("  from its readiness to the answer", [wait.from_ready for wait in waits]))
    print(summary("  its processor time", [wait.processor for wait in waits]))
    assert statistics.median(wait.alone for wait in waits) < RESTART_SECONDS
    assert statistics.median(wait.processor for wait in waits) < PROCESSOR_SECONDS
    assert max(wait.from_start for wait in waits) < EXPECTED_SECONDS
    assert max(wait.from_ready for wait in waits) < WAIT_SECONDS


@pytest.mark.timeout(TIMEOUT)
async def test_a_killed_command_service_answers_as_soon_as_it_is_back(
    installation: Installation, tmp_path: Path
) -> None:
    async with (
        sending(installation) as sender,
        reply_clock(installation) as clock,
        instances(installation, tmp_path, are_forks=not IS_LONG, **LONG_SESSION) as running,
    ):
        running.start("command-1")
        galleries = [await sender.gallery(0, gallery_id=found) for found in galleries_on(*range(PARTITIONS))]
        await kill_again_and_again(running, "command-1", commands(sender, clock, galleries), RESTARTS or 2)
    await audit(installation.database)


@pytest.mark.timeout(TIMEOUT)
async def test_a_killed_projector_projects_as_soon_as_it_is_back(installation: Installation, tmp_path: Path) -> None:
    async with instances(installation, tmp_path, are_forks=not IS_LONG, **LONG_SESSION) as running:
        running.start("projector-1")
        ask = projections(installation)
        await (await ask())
        await kill_again_and_again(running, "projector-1", ask, RESTARTS // 2 or 1)


async def subscribe(installation: Installation, receiver: Receiver) -> None:
    await ensure_indexes(installation.database, INDEXES)
    await Admin(installation.database, make_sealer(relay_settings(installation))).subscribe(receiver.url())


@pytest.mark.timeout(TIMEOUT)
async def test_a_killed_relay_delivers_as_soon_as_it_is_back(installation: Installation, tmp_path: Path) -> None:
    async with (
        open_receiver() as receiver,
        instances(installation, tmp_path, are_forks=not IS_LONG, **LONG_SESSION) as running,
    ):
        await subscribe(installation, receiver)
        running.start("webhooks-1")
        ask = deliveries(installation, receiver)
        await (await ask())
        await kill_again_and_again(running, "webhooks-1", ask, RESTARTS // 2 or 1)


@pytest.mark.timeout(TIMEOUT)
async def test_a_killed_gateway_answers_as_soon_as_it_is_back(installation: Installation, tmp_path: Path) -> None:
    await store_key(installation.database, KEY, site_id=None, scopes=list(Scope), name="restarts")
    async with instances(installation, tmp_path, are_forks=not IS_LONG) as running:
        running.start("gateway-1")
        ask = answers(running, "gateway-1", KEY)
        await (await ask())
        await kill_again_and_again(running, "gateway-1", ask, RESTARTS // 2 or 1)


@pytest.mark.timeout(TIMEOUT)
async def test_replaced_command_services_keep_nobody_waiting(installation: Installation, tmp_path: Path) -> None:
    async with (
        sending(installation) as sender,
        reply_clock(installation) as clock,
        instances(installation, tmp_path, are_forks=not IS_LONG, **LONG_SESSION) as running,
    ):
        names = ("command-1", "command-2")
        for name in names:
            running.start(name)
        await running.ready(*names)
        galleries = [await sender.gallery(0, gallery_id=found) for found in galleries_on(*range(PARTITIONS))]
        load = Load(sender, clock, galleries)
        async with load.running():
            await replace(running, *names)
        print("\n" + summary("replaced command services, commands", [max(load.delays())]))
        assert max(load.delays()) < EXPECTED_SECONDS
    await audit(installation.database)


async def replace(running: Instances, *names: str) -> None:
    for name in names:
        await running.stop(name)
        running.start(name)
        await running.ready(name)


@pytest.mark.skipif(not IS_LONG, reason="part of `make soak`")
@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize("service", ["command", "projector", "webhooks"])
async def test_another_instance_takes_over(installation: Installation, tmp_path: Path, service: str) -> None:
    names = (f"{service}-1", f"{service}-2")
    async with (
        sending(installation) as sender,
        reply_clock(installation) as clock,
        open_receiver() as receiver,
        instances(installation, tmp_path, are_forks=True) as running,
    ):
        await subscribe(installation, receiver)
        for name in names:
            running.start(name)
        if service == "command":
            galleries = [await sender.gallery(0, gallery_id=found) for found in galleries_on(*range(PARTITIONS))]
            ask = commands(sender, clock, galleries)
        else:
            ask = joined_records(installation) if service == "projector" else deliveries(installation, receiver)
        taken: list[float] = []
        for number in range(max(2, RESTARTS // 2)):
            await running.ready(*names)
            await until_shared(installation, f"{installation.name}.{service}.v1", 2)
            await asyncio.sleep(2)  # until shards are shared too
            taken.append(await take_over_after_kill(running, names[number % 2], ask))
            print(taken[-1], flush=True)
            running.start(names[number % 2])
        print("\n" + summary(f"taken over by the other {service}", taken))
        assert max(taken) < TAKEN_OVER_SECONDS


@pytest.mark.skipif(not IS_LONG, reason="part of `make soak`")
@pytest.mark.timeout(TIMEOUT)
async def test_a_rolling_restart_of_everything_keeps_nobody_waiting(installation: Installation, tmp_path: Path) -> None:
    await store_key(installation.database, KEY, site_id=None, scopes=list(Scope), name="restarts")
    async with (
        sending(installation) as sender,
        reply_clock(installation) as clock,
        open_receiver() as receiver,
        instances(installation, tmp_path, are_forks=True) as running,
    ):
        await subscribe(installation, receiver)
        names = [
            f"{service}-{number}" for service in ("command", "projector", "webhooks", "gateway") for number in (1, 2)
        ]
        for name in names:
            running.start(name)
        await running.ready(*names)
        galleries = [await sender.gallery(0, gallery_id=found) for found in galleries_on(*range(PARTITIONS))]
        load = Load(sender, clock, galleries, [running.address("gateway-1"), running.address("gateway-2")])
        async with load.running(KEY):
            await replace(running, *names)
        delays = load.delays()
        print(
            f"\nrolling restart of {len(names)} processes: {len(delays)} commands, the longest wait {max(delays):.1f} s"
        )
        print(summary("  writes over HTTP", [write.seconds for write in load.writes]))
        slowest = max(load.writes, key=lambda write: write.seconds)
        print(account(slowest, running.timeline))
        assert max(delays) < WAIT_SECONDS
        assert slowest.seconds < WAIT_SECONDS
    await audit(installation.database)
