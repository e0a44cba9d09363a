"""A process that dies before or after a hop of a batch, at each point of `failpoints.POINTS`, breaks no promise."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.chaos.dying import DEADLINE_SECONDS, Dying, open_dying
from tests.support.chaos.observing import unfinished
from tests.support.failpoints import POINTS
from tests.support.installation import open_installation
from tests.support.waiting import eventually
from triptych.devstack.addresses import Addresses
from triptych.kit.kafka.groups import webhooks_group

pytestmark = [
    pytest.mark.xdist_group("failpoints"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]

AT_START = {
    "before the claim",
    "after the claim",
    "after the events that were left",
}
"""Points that a process passes when it takes partitions over. It dies there after an earlier death at `LEFT`."""
LEFT = "after the commit"
IN_SHORT = {
    ("command", "after Kafka has stored the events"),
    ("command", "before the commit of offsets"),
    ("command", "after the events that were left"),
    ("projector", "after the commit"),
    ("projector", "after Kafka has stored the join"),
    ("projector", "amid the storing of the history"),
    ("webhooks", "amid the storing of deliveries"),
    ("webhooks", "before the commit of offsets"),
    ("gateway", "after Kafka has stored the command"),
}
"""The points at which every run dies; at the others, the long form does."""
long = pytest.mark.skipif("TRIPTYCH_TEST_OUTAGE" not in os.environ, reason="part of `make soak`")
CASES = [
    pytest.param(
        service,
        (LEFT, point) if point in AT_START else (point,),
        id=f"{service} {point}",
        marks=() if (service, point) in IN_SHORT else long,
    )
    for service, points in POINTS.items()
    for point in points
]
ANSWERS = 3
"""Over HTTP, after a gateway has started again."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dying]:
    """All services, once for all points."""
    async with (
        open_installation(stack) as installation,
        open_dying(installation, tmp_path_factory.mktemp("points")) as made,
    ):
        yield made


@pytest.mark.parametrize(("service", "points"), CASES)
async def test_a_death_at_any_point_breaks_no_promise(product: Dying, service: str, points: tuple[str, ...]) -> None:
    name = f"{service}-1"
    product.order(service, points[0])
    async with product.writing(ANSWERS) if service == "gateway" else contextlib.nullcontext():
        if service != "gateway":
            await product.send_commands()
        await product.dies(name)
        for point in points[1:]:
            product.order(service, point)
            product.running.start(name)
            await product.dies(name)
        product.running.start(name)
        await product.running.ready(name)
    await product.check()


async def test_no_promise_is_judged_before_the_relay_has_read_the_events(product: Dying) -> None:
    installation = product.running.installation
    relay = product.running.service("webhooks-1").child.pid
    os.kill(relay, signal.SIGSTOP)
    try:
        await product.send_commands()
        await product.workload.finish()

        async def is_only_unread() -> bool:
            left = await unfinished(installation, product.workload, product.watch)
            return left == [f"{webhooks_group(installation.topics.prefix)} has not read its topic"]

        await eventually(is_only_unread, "only the relay has work left", deadline_seconds=DEADLINE_SECONDS)
    finally:
        os.kill(relay, signal.SIGCONT)
    await product.check()
