"""Servers of a cluster change their roles, stop in order, or stand still: nothing is lost, and work goes on in time."""

import asyncio
import os

import pytest

from tests.support.cluster_faults import WHOLE_SECONDS, check_fault
from tests.support.local_cluster import LocalCluster

FROZEN_SECONDS = 20.0
AFTER_SECONDS = 8.0
NODES = ("kafka-1", "kafka-2", "kafka-3")

pytestmark = [
    pytest.mark.skipif("TRIPTYCH_TEST_CLUSTER" not in os.environ, reason="TRIPTYCH_TEST_CLUSTER is not set"),
    pytest.mark.stack,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.timeout(600),
]


async def test_the_primary_steps_down(cluster: LocalCluster) -> None:
    await check_fault(cluster, "the primary steps down", cluster.step_down, AFTER_SECONDS)


@pytest.mark.parametrize("topic", ["commands", "events"])
async def test_a_leader_stops_in_order(cluster: LocalCluster, topic: str) -> None:
    await cluster.until_whole(WHOLE_SECONDS)
    leader, *_ = await cluster.leaders(f"triptych.{topic}")
    await check_fault(cluster, f"{leader}, the leader of {topic}, stops", lambda: cluster.stop(leader), AFTER_SECONDS)


async def test_brokers_are_restarted_one_after_the_other(cluster: LocalCluster) -> None:
    async def restart_all() -> None:
        for node in NODES:
            await cluster.stop(node)
            await cluster.until_brokers_are_whole(WHOLE_SECONDS)

    await check_fault(cluster, "brokers stop and start, one after the other", restart_all, AFTER_SECONDS)


@pytest.mark.parametrize("role", ["leader of commands", "active controller", "primary"])
async def test_a_server_stands_still_and_goes_on(cluster: LocalCluster, role: str) -> None:
    await cluster.until_whole(WHOLE_SECONDS)
    match role:
        case "primary":
            name = cluster.primary()
        case "active controller":
            name = cluster.controller()
        case _:
            name, *_ = await cluster.leaders("triptych.commands")

    async def stand_still() -> None:
        with cluster.frozen(name):
            await asyncio.sleep(FROZEN_SECONDS)

    await check_fault(cluster, f"{name}, the {role}, stands still for {FROZEN_SECONDS:g} s", stand_still, AFTER_SECONDS)
