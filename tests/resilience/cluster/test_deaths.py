"""A broker, a member of the replica set and a worker of each kind die at the same moment: nothing is lost.

The servers and services are those of `triptych cluster`. The test takes a minute of processor time and more, so it
runs in `make soak` only.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeAlias

import pytest

from tests.support.installation import PARTITIONS, Installation
from tests.support.local_cluster import KINDS, STOP_SECONDS, LocalCluster, installation_of, local_cluster, subscribe
from tests.support.ours import assert_no_record_of_ours_is_dead
from tests.support.receiver import Receiver, open_receiver
from tests.support.secrets import check_logs
from tests.support.sender import Sender, galleries_on, sending
from tests.support.servers import command_line
from tests.support.steady_load import Sent, SteadyLoad, steady_load
from tests.support.waiting import eventually
from tests.support.write_model import audit, until_all_is_marked

ANSWER_SECONDS = 15.0
"""How soon the next command is answered after the deaths."""
RESTART_SECONDS = 18.0
BEFORE_SECONDS, AFTER_SECONDS = 3.0, 22.0
"""How long the load lasts before and after the deaths."""
WHOLE_SECONDS = 90.0
GALLERIES = 6
Choose: TypeAlias = Callable[[LocalCluster, Installation], Awaitable[str]]
"""Chooses the broker that dies."""

pytestmark = [
    pytest.mark.skipif("TRIPTYCH_TEST_CLUSTER" not in os.environ, reason="TRIPTYCH_TEST_CLUSTER is not set"),
    pytest.mark.stack,
    pytest.mark.xdist_group("cluster"),
]


async def leader_of_commands(cluster: LocalCluster, installation: Installation) -> str:
    """A node that leads partitions of the commands topic, and is not the controller if there is a choice."""
    leaders = await cluster.leaders(installation.topics.commands)
    return next((node for node in leaders if node != cluster.controller()), leaders[0])


async def active_controller(cluster: LocalCluster, installation: Installation) -> str:
    """The node whose controller decides which broker leads a partition."""
    return cluster.controller()


async def coordinator_of_workers(cluster: LocalCluster, installation: Installation) -> str:
    """The node that decides which command service has which partitions."""
    return await cluster.coordinator(f"{installation.name}.command.v1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster for the tests of this module, which stops in order at their end."""
    folder = tmp_path_factory.mktemp("cluster")
    with local_cluster(folder, restart_after=RESTART_SECONDS) as running:
        yield running
        pids = running.pids()
        assert running.child.stop(STOP_SECONDS) == 0
        assert [pid for pid in pids if command_line(pid)] == []
    logs = folder / ".triptych" / "cluster" / "logs"
    check_logs(path for kind in KINDS for path in logs.glob(f"{kind}-*.log"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("choose", "worker"),
    [(leader_of_commands, 1), (active_controller, 2), (coordinator_of_workers, 1)],
    ids=lambda value: getattr(value, "__name__", f"worker-{value}"),
)
async def test_one_of_each_dies_at_the_same_moment(cluster: LocalCluster, choose: Choose, worker: int) -> None:
    async with installation_of(cluster) as installation, open_receiver() as receiver:
        await cluster.until_whole(WHOLE_SECONDS)
        await subscribe(cluster, receiver.url())
        async with sending(installation) as sender:
            # Each way has galleries on all partitions, also on those of the worker that dies.
            ids = galleries_on(*(number % PARTITIONS for number in range(2 * GALLERIES)))
            galleries = [await sender.gallery(0, gallery_id=gallery_id) for gallery_id in ids]
        killed = [await choose(cluster, installation), cluster.primary(), *(f"{kind}-{worker}" for kind in KINDS)]
        load, slowest = await die_under_load(cluster, installation, galleries, killed)
        await cluster.until_whole(WHOLE_SECONDS)
        async with sending(installation) as sender:
            await check_galleries(sender, load.sent())
        await check_deliveries(installation, receiver, galleries)
        await assert_no_record_of_ours_is_dead(installation)
        compared = await asyncio.to_thread(cluster.run, "verify")
        assert compared.returncode == 0, compared.stdout + compared.stderr
    # At the end: whether something was lost is to be known in any case.
    assert slowest.seconds < ANSWER_SECONDS, slowest


async def die_under_load(
    cluster: LocalCluster, installation: Installation, galleries: list[str], killed: list[str]
) -> tuple[SteadyLoad, Sent]:
    """Kill these parts under load. Every command is acknowledged and accepted; the slowest is of those sent later."""
    gateways = cluster.gateways()
    async with steady_load(installation, lambda: gateways, galleries[:GALLERIES], galleries[GALLERIES:]) as load:
        await asyncio.sleep(BEFORE_SECONDS)
        died_at = time.monotonic()
        cluster.kill(killed)
        await asyncio.sleep(AFTER_SECONDS)
    assert all(sent.acknowledged for sent in load.sent())
    assert {sent.outcome for sent in load.sent()} == {"accepted"}
    print("\nkilled", *killed)
    slowest = (slowest_of("Kafka", list(load.by_topic.values()), died_at), slowest_of("HTTP", load.by_http, died_at))
    return load, max(slowest, key=lambda sent: sent.seconds)


def slowest_of(way: str, commands: list[Sent], died_at: float) -> Sent:
    """The slowest of the commands that were sent after the deaths. Prints how long the commands of one way waited."""
    after = [sent for sent in commands if sent.at >= died_at]
    waiting = [sent for sent in commands if sent.at < died_at <= (sent.answered_at or 0)]
    slowest = max(after, key=lambda sent: sent.seconds)
    median = statistics.median(sent.seconds for sent in after)
    print(
        f"{way}: the next command was answered after {after[0].seconds:.1f} s, the slowest of {len(after)} after "
        f"{slowest.seconds:.1f} s (median {median:.2f} s), the slowest of {len(waiting)} that were waiting after "
        f"{max((sent.seconds for sent in waiting), default=0):.1f} s; sent again because of "
        f"{sorted({reason for sent in commands for reason in sent.refusals})}"
    )
    return slowest


async def check_galleries(sender: Sender, everything: list[Sent]) -> None:
    """Every acknowledged command had its effect once; events are complete and in sequence."""
    await until_all_is_marked(sender.installation.database)
    history = await audit(sender.installation.database)
    titles: dict[str, list[str]] = {}
    for sent in everything:
        titles.setdefault(sent.gallery_id, []).append(sent.title)
    for gallery_id, sent_titles in titles.items():
        shown = (await sender.titles(gallery_id))[::-1]
        assert sorted(shown) == sorted(sent_titles)
        if sent_titles[0].startswith("topic"):
            assert shown == sent_titles, "commands of one producer are carried out in order"
        published = await sender.events_of(gallery_id, 1 + len(sent_titles))
        assert [event["id"] for event in published] == [event["id"] for event in history[gallery_id]]


async def check_deliveries(installation: Installation, receiver: Receiver, galleries: Sequence[str]) -> None:
    """The listener got every event of these galleries, which are younger than the listener."""
    history = await audit(installation.database)
    events = {event["id"] for gallery_id in galleries for event in history[gallery_id]}

    async def are_delivered() -> bool:
        return {request.id for request in receiver.requests} >= events

    await eventually(are_delivered, "all events are delivered", deadline_seconds=60)
