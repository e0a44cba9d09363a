"""A trial on the shared cluster: a fault under load, after which nothing is lost, and work went on in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from tests.support.local_cluster import LocalCluster, installation_of, subscribe
from tests.support.receiver import open_receiver
from tests.support.trial import trial

ANSWER_SECONDS = 15.0
"""How soon work goes on after a fault: the next command is answered and joined, and no later one takes longer."""
WHOLE_SECONDS = 90.0
BEFORE_SECONDS = 3.0
"""How long the load lasts before the fault."""


async def check_fault(
    cluster: LocalCluster, what: str, fault: Callable[[], Awaitable[None]], after_seconds: float
) -> None:
    """Let something fail under load. No acknowledged command is lost, and none waits longer than `ANSWER_SECONDS`.

    Args:
        cluster: the shared cluster.
        what: the fault, for the figures that are printed.
        fault: lets it happen, and returns when it has ended or as soon as it has begun.
        after_seconds: how long the load lasts after that.
    """
    async with installation_of(cluster) as installation, open_receiver() as receiver:
        await cluster.until_whole(WHOLE_SECONDS)
        await subscribe(cluster, receiver.url())
        async with trial(installation) as tried:
            gateways = cluster.gateways()
            async with tried.under_load(lambda: gateways):
                await asyncio.sleep(BEFORE_SECONDS)
                began_at = time.monotonic()
                await fault()
                await asyncio.sleep(after_seconds)
            waits = tried.waits(began_at)
            print(f"\n{what}", *waits, f"sent again because of {tried.refusals()}", sep="\n  ")
            await cluster.until_whole(WHOLE_SECONDS)
            await tried.check(receiver)
        compared = await asyncio.to_thread(cluster.run, "verify")
        assert compared.returncode == 0, compared.stdout + compared.stderr
    # At the end: whether something was lost is to be known in any case.
    assert max(wait.longest for wait in waits) < ANSWER_SECONDS
