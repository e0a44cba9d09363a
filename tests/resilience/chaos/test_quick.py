"""In half a minute, every part of an installation dies once or stands still, and every promise is kept.

The judge and the load are those of `make chaos`. Here the load is lighter, and faults come at the same time.
"""

from pathlib import Path

import pytest

from tests.support.chaos.faults import Faults, Plan
from tests.support.chaos.report import listing, summary
from tests.support.chaos.running import Form, Struck, run, strike
from tests.support.chaos.watch import Watch
from tests.support.chaos.workload import Pace
from tests.support.installation import Installation
from tests.support.own_servers import OwnServers

SEED = 1
NAMES = ("command-1", "command-2", "projector-1", "webhooks-1", "gateway-1")
PACE = Pace(pause=0.3, large_items=1_050, long_pause=60)
STILL_SECONDS = 7.5
"""The session in a consumer group lasts 6 s."""
ROUNDS = (
    (
        Plan("SIGSTOP", "command"),
        Plan("SIGKILL", "projector"),
        Plan("SIGKILL", "webhooks"),
        Plan("SIGKILL", "gateway"),
    ),
    (Plan("SIGKILL", "mongo"), Plan("SIGKILL", "command")),
    (Plan("SIGKILL", "kafka"),),
)
"""What happens at the same time."""
pytestmark = [pytest.mark.xdist_group("own-servers"), pytest.mark.stack, pytest.mark.timeout(240)]


async def rounds(faults: Faults, watch: Watch) -> list[Struck]:
    """One round after another."""
    return [struck for plans in ROUNDS for struck in await strike(faults, watch, *plans, still=STILL_SECONDS)]


async def test_every_promise_is_kept(installation: Installation, servers: OwnServers, tmp_path: Path) -> None:
    form = Form(SEED, rounds, NAMES, PACE)
    outcome = await run(form, installation, servers, tmp_path)
    print(summary(outcome.counts))
    assert not outcome.violations, listing(outcome.violations)
