"""While services and servers are killed, stopped and frozen at random, every promise is kept (`make chaos`).

`TRIPTYCH_TEST_CHAOS` sets the seconds of the run, and `TRIPTYCH_TEST_CHAOS_SEED` repeats the choices of another run.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.chaos.faults import Faults, all_plans
from tests.support.chaos.history import Fault, History, Memory
from tests.support.chaos.judging import judge
from tests.support.chaos.judging.events import repeated
from tests.support.chaos.observing import observe, until_quiet
from tests.support.chaos.receiver import ALLOWED, open_receivers
from tests.support.chaos.report import listing, summary, table
from tests.support.chaos.watch import Watch, watching
from tests.support.chaos.workload import SITES, key_of, open_workload, sending
from tests.support.installation import PARTITIONS, Installation, open_installation
from tests.support.own_servers import OwnServers
from tests.support.restarts import instances
from triptych.gateway.access.keys import Scope, store_key

SECONDS = float(os.environ.get("TRIPTYCH_TEST_CHAOS", "0"))
SEED = int(os.environ.get("TRIPTYCH_TEST_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
MEMORY_LIMIT = 400 << 20
CALM_SECONDS = 1.0
"""Between two faults."""
pytestmark = [
    pytest.mark.xdist_group("own-servers"),
    pytest.mark.stack,
    pytest.mark.skipif(not SECONDS, reason="part of `make chaos`"),
    pytest.mark.timeout(SECONDS + 900),
]


@pytest_asyncio.fixture
async def installation(servers: OwnServers) -> AsyncIterator[Installation]:
    """An installation on servers that may be killed; the judge looks at its dead letters."""
    async with open_installation(servers.addresses) as made:
        yield made


async def strike_for(seconds: float, faults: Faults, watch: Watch, chance: random.Random) -> list[tuple[float, Fault]]:
    """One fault after another, each with the wall time of its beginning, until the time is over."""
    ends_at = time.monotonic() + seconds
    found: list[tuple[float, Fault]] = []
    plans = all_plans(chance)
    while time.monotonic() < ends_at:
        plans = plans or all_plans(chance)
        plan = plans.pop()
        at = time.time()
        since = await faults.strike(plan)
        recovery, _ = await asyncio.gather(watch.recovery(since), faults.heal(plan))
        found.append((at, Fault(plan.kind, plan.component, recovery.reply, recovery.joined)))
        print(f"{plan.component:10} {plan.kind}: {recovery}", flush=True)
        await faults.all_ready()
        await asyncio.sleep(CALM_SECONDS)
    return found


def count_repeats(history: History, written: Sequence[int], faults: Sequence[tuple[float, Fault]]) -> int:
    """Give each fault the repeats from its beginning to the next fault; all repeats together."""
    numbers = repeated(history.events)
    for number in numbers:
        before = [fault for at, fault in faults if at * 1_000 <= written[number]]
        if before:
            before[-1].repeats += 1
    return len(numbers)


async def test_every_promise_is_kept(installation: Installation, servers: OwnServers, tmp_path: Path) -> None:
    print(f"\nseed {SEED}")
    chance = random.Random(SEED)
    for site in SITES:
        scopes = [Scope.READ, Scope.MANAGE]
        await store_key(installation.database, key_of(site), site_id=site, scopes=scopes, name=site)
    async with (
        open_receivers(installation, random.Random(SEED)) as receivers,
        instances(installation, tmp_path, are_forks=True, webhooks_allowed_networks=ALLOWED) as running,
    ):
        faults = Faults(running, servers, tmp_path, chance)
        for name in faults.names:
            running.start(name)
        gateways = [running.address(name) for name in faults.names if name.startswith("gateway")]
        await faults.all_ready()
        async with (
            faults.supervising(),
            open_workload(installation, gateways, random.Random(SEED)) as workload,
            watching(installation, workload) as watch,
        ):
            await watch.create_probes()
            async with sending(workload):
                struck = await strike_for(SECONDS, faults, watch, chance)
            receivers.heal()
            await faults.all_ready()
            waits_for = await until_quiet(installation, workload, watch)
            history, written = await observe(installation, workload, receivers, gateways[0], PARTITIONS)
        repeats = count_repeats(history, written, struck)
        history.faults = [fault for _, fault in struck]
        history.memory = [Memory(name, peak) for name, peak in faults.peaks.items()]
        history.memory_limit = MEMORY_LIMIT
        history.unready = [*faults.unexpected, *([f"not quiet: {waits_for}"] if waits_for else [])]
        violations = judge(history)
        print(summary(history, repeats), table(history.faults), listing(violations), sep="\n\n")
        assert not violations, listing(violations)
