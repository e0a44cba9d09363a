"""A broker, a member of the replica set and a worker of each kind die at the same moment: nothing is lost.

The servers and services are those of `triptych cluster`. The tests of this folder take minutes, so they run in
`make test-cluster` and `make soak` only.
"""

import os
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from tests.support.cluster_faults import WHOLE_SECONDS, check_fault
from tests.support.local_cluster import KINDS, LocalCluster

AFTER_SECONDS = 22.0
Choose: TypeAlias = Callable[[LocalCluster], Awaitable[str]]
"""Chooses the broker that dies."""

pytestmark = [
    pytest.mark.skipif("TRIPTYCH_TEST_CLUSTER" not in os.environ, reason="TRIPTYCH_TEST_CLUSTER is not set"),
    pytest.mark.stack,
    pytest.mark.xdist_group("cluster"),
]


async def leader_of_commands(cluster: LocalCluster) -> str:
    """A node that leads partitions of the commands topic, and is not the controller if there is a choice."""
    leaders = await cluster.leaders("triptych.commands")
    return next((node for node in leaders if node != cluster.controller()), leaders[0])


async def active_controller(cluster: LocalCluster) -> str:
    """The node whose controller decides which broker leads a partition."""
    return cluster.controller()


async def coordinator_of_workers(cluster: LocalCluster) -> str:
    """The node that decides which command service has which partitions."""
    return await cluster.coordinator("triptych.command.v1")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("choose", "worker"),
    [(leader_of_commands, 1), (active_controller, 2), (coordinator_of_workers, 1)],
    ids=lambda value: getattr(value, "__name__", f"worker-{value}"),
)
async def test_one_of_each_dies_at_the_same_moment(cluster: LocalCluster, choose: Choose, worker: int) -> None:
    await cluster.until_whole(WHOLE_SECONDS)
    killed = [await choose(cluster), cluster.primary(), *(f"{kind}-{worker}" for kind in KINDS)]

    async def die() -> None:
        cluster.kill(killed)

    await check_fault(cluster, f"killed {choose.__name__}: {' '.join(killed)}", die, AFTER_SECONDS)
