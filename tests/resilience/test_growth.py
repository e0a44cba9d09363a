"""How long commands and writes over HTTP wait while all topics get more partitions.

`TRIPTYCH_TEST_DOUBLINGS` sets how often the number is doubled, and all figures are printed.
"""

import itertools
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.growing import FRESH
from tests.support.installation import PARTITIONS, Installation
from tests.support.restarts import instances
from tests.support.rolling_load import Load, account, reply_clock, summary
from tests.support.sender import galleries_on, sending
from tests.support.write_model import audit
from triptych.cli.partitions.command import grow_installation, trim_installation
from triptych.cli.settings import CliSettings
from triptych.gateway.access.keys import Scope, store_key
from triptych.kit.kafka.partitions import partition_of

DOUBLINGS = int(os.environ.get("TRIPTYCH_TEST_DOUBLINGS", "0"))
KEY = "growth-key"
SERVICES = ("command", "projector", "webhooks", "gateway")
STOPPED_SECONDS = 5.0
"""The most that no command at all may be answered. The load sends commands to all partitions ten times a second."""
WAIT_SECONDS = 8.0
"""The most that one command or write may wait: those to new partitions wait for former ones too."""


@pytest.mark.skipif(not DOUBLINGS, reason="part of `make soak`")
@pytest.mark.timeout(120 + 60 * DOUBLINGS)
async def test_a_growth_keeps_nobody_waiting_for_long(installation: Installation, tmp_path: Path) -> None:
    await store_key(installation.database, KEY, site_id=None, scopes=list(Scope), name="growth")
    settings = installation.settings(CliSettings)
    async with (
        sending(installation, **FRESH) as sender,
        reply_clock(installation, **FRESH) as clock,
        instances(installation, tmp_path, are_forks=True) as running,
    ):
        names = [f"{service}-{number}" for service in SERVICES for number in (1, 2)]
        for name in names:
            running.start(name)
        await running.ready(*names)
        # Some of them move, and some stay.
        galleries = [await sender.gallery(0, gallery_id=found) for found in galleries_on(*[*range(PARTITIONS)] * 4)]
        gateways = [running.address(name) for name in names if name.startswith("gateway")]
        stops, waits, writes = [], [], []
        for partitions in [PARTITIONS * 2**number for number in range(1, DOUBLINGS + 1)]:
            load = Load(sender, clock, galleries, gateways)
            async with load.running(KEY):
                began_at = time.monotonic()
                running.note(f"growth to {partitions} partitions begins")
                await grow_installation(settings, partitions, 2.0)
                running.note("it has ended")
            await trim_installation(settings, timedelta(0))
            answered = sorted(at for at in clock.came.values() if at >= began_at)
            stops.append(max(later - earlier for earlier, later in itertools.pairwise(answered)))
            waits.append(max(load.delays()))
            slowest = max(load.writes, key=lambda write: write.seconds)
            writes.append(slowest.seconds)
            print(
                f"\nto {partitions} partitions: {stops[-1]:.1f} s without a reply, the longest wait {waits[-1]:.1f} s"
            )
            command, seconds = load.slowest()
            place = partition_of(command.gallery_id.encode(), partitions)
            print(
                f"  the command that waited longest was sent {command.at - began_at:.1f} s after the growth began, for "
                f"partition {place} of {partitions}: {seconds:.1f} s"
            )
            print(account(slowest, running.timeline))
        print(summary("the longest time without a reply", stops))
        print(summary("the longest wait of a command", waits))
        print(summary("the slowest write over HTTP", writes))
        assert max(stops) < STOPPED_SECONDS
        assert max(*waits, *writes) < WAIT_SECONDS
    await audit(installation.database)
