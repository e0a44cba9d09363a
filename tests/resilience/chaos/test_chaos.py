"""While services and servers are killed, stopped and frozen at random, every promise is kept (`make chaos`).

`TRIPTYCH_TEST_CHAOS` sets the seconds of the run, and `TRIPTYCH_TEST_CHAOS_SEED` repeats the choices of another run.
"""

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from tests.support.chaos.faults import Faults, all_plans
from tests.support.chaos.report import listing, summary, table
from tests.support.chaos.running import Form, Struck, run, strike
from tests.support.chaos.watch import Watch
from tests.support.installation import Installation
from tests.support.own_servers import OwnServers

SECONDS = float(os.environ.get("TRIPTYCH_TEST_CHAOS", "0"))
SEED = int(os.environ.get("TRIPTYCH_TEST_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
CALM_SECONDS = 1.0
"""Between two faults."""
pytestmark = [
    pytest.mark.xdist_group("own-servers"),
    pytest.mark.stack,
    pytest.mark.skipif(not SECONDS, reason="part of `make chaos`"),
    pytest.mark.timeout(1.5 * SECONDS + 900),
]


async def one_after_another(faults: Faults, watch: Watch) -> list[Struck]:
    """Each fault of each component at random, again and again, until the time is over."""
    chance = random.Random(SEED)
    ends_at = time.monotonic() + SECONDS
    found: list[Struck] = []
    plans = all_plans(chance)
    while time.monotonic() < ends_at:
        plans = plans or all_plans(chance)
        found += await strike(faults, watch, plans.pop())
        await asyncio.sleep(CALM_SECONDS)
    return found


async def test_every_promise_is_kept(installation: Installation, servers: OwnServers, tmp_path: Path) -> None:
    print(f"\nseed {SEED}")
    outcome = await run(Form(SEED, one_after_another), installation, servers, tmp_path)
    print(summary(outcome.counts), table(outcome.faults), listing(outcome.violations), sep="\n\n")
    assert not outcome.violations, listing(outcome.violations)
