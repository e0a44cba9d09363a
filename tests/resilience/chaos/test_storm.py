"""A third process of each service comes and goes every few seconds: every promise is kept, and answers go on."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.support.chaos.faults import Faults
from tests.support.chaos.history import Fault, Recovery
from tests.support.chaos.report import listing, summary
from tests.support.chaos.running import Form, Struck, run
from tests.support.chaos.watch import Watch
from tests.support.chaos.workload import Pace
from tests.support.installation import Installation
from tests.support.own_servers import OwnServers

SEED = 1
STORM_SECONDS = 30.0
PACE = Pace(pause=0.2, large_items=1_050, long_pause=30)
WAIT_SECONDS = 20.0
"""The longest that replies, joined records and answers on every partition may take, at any time of the storm."""
DELIVERY_SECONDS = 30.0
"""The same for deliveries. What a killed relay had claimed waits until it runs again, and it may be killed again."""
CALM_SECONDS = 0.5
"""Between two looks at how long work takes."""
pytestmark = [
    pytest.mark.xdist_group("own-servers"),
    pytest.mark.stack,
    pytest.mark.skipif("TRIPTYCH_TEST_OUTAGE" not in os.environ, reason="part of `make soak`"),
    pytest.mark.timeout(400),
]


async def storm(faults: Faults, watch: Watch) -> list[Struck]:
    """Processes come and go, and meanwhile work is asked for on each partition, again and again."""
    at = time.time()
    coming = asyncio.create_task(faults.come_and_go(STORM_SECONDS))
    found: list[Recovery] = []
    while not coming.done():
        found.append(await watch.recovery(time.monotonic()))
        print(found[-1], flush=True)
        await asyncio.sleep(CALM_SECONDS)
    count = await coming
    found.append(await watch.recovery(time.monotonic()))
    worst = Recovery(*(None if None in each else max(filter(None, each)) for each in zip(*found, strict=True)))
    print(f"\n{count} times a process came and went; of {len(found)} looks the longest waits: {worst}", flush=True)
    return [Struck(at, Fault("storm", "all services", worst))]


async def test_every_promise_is_kept_and_answers_go_on(
    installation: Installation, servers: OwnServers, tmp_path: Path
) -> None:
    outcome = await run(Form(SEED, storm, pace=PACE), installation, servers, tmp_path)
    print(summary(outcome.counts))
    assert not outcome.violations, listing(outcome.violations)
    (fault,) = outcome.faults
    *others, delivery = fault.recovery
    assert max(seconds for seconds in others if seconds is not None) < WAIT_SECONDS
    assert delivery is not None
    assert delivery < DELIVERY_SECONDS
