"""The network delays, loses and swallows what services say to MongoDB and Kafka: nothing is lost, and work goes on."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from tests.support.faulty_link import FaultyLink, brings_records, commits
from tests.support.installation import Installation, open_installation
from tests.support.own_servers import OwnServers
from tests.support.product import Gateway, running_product
from tests.support.trial import trial
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.api.examples import DEV_KEY

pytestmark = [
    pytest.mark.xdist_group("own-servers"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
]
long = pytest.mark.skipif("TRIPTYCH_TEST_OUTAGE" not in os.environ, reason="part of `make soak`")

BACK_SECONDS = 15.0
"""How soon work goes on once the network is well."""
BEFORE_SECONDS, AFTER_SECONDS = 1.0, 2.0


@dataclass
class Product:
    """Command service, projector and gateway behind links; the installation's own address avoids the links."""

    installation: Installation
    gateway: Gateway
    to_mongo: FaultyLink
    to_kafka: FaultyLink


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(servers: OwnServers) -> AsyncIterator[Product]:
    """The services, once for all faults."""
    async with open_installation(servers.addresses) as direct, servers.links() as (to_mongo, to_kafka, addresses):
        await store_key(direct.database, DEV_KEY, site_id=None, scopes=list(Scope), name="network")
        async with running_product(replace(direct, addresses=addresses)) as gateway:
            yield Product(direct, gateway, to_mongo, to_kafka)


def slow(link: FaultyLink) -> AbstractAsyncContextManager[None]:
    """Each message takes a while."""
    return link.slow(0.1)


def lost_commits(link: FaultyLink) -> AbstractAsyncContextManager[None]:
    """MongoDB commits, and the connection ends before its answer."""
    return link.losing_answers(commits)


def lost_acknowledgements(link: FaultyLink) -> AbstractAsyncContextManager[None]:
    """Kafka stores records, and the connection ends before its answer."""
    return link.losing_answers(brings_records)


def half_open(link: FaultyLink) -> AbstractAsyncContextManager[None]:
    """Connections stay open and carry nothing, then and afterwards."""
    return link.swallowing()


@pytest.mark.parametrize(
    ("server", "fault", "seconds"),
    [
        ("mongo", lost_commits, 2),
        ("kafka", lost_acknowledgements, 2),
        pytest.param("mongo", slow, 5, marks=long),
        pytest.param("kafka", slow, 5, marks=long),
        pytest.param("mongo", half_open, 10, marks=long),
        pytest.param("kafka", half_open, 10, marks=long),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_work_goes_on_soon_after(
    product: Product, server: str, fault: Callable[[FaultyLink], AbstractAsyncContextManager[None]], seconds: float
) -> None:
    link = {"mongo": product.to_mongo, "kafka": product.to_kafka}[server]
    async with trial(product.installation) as tried:
        async with tried.under_load(lambda: [product.gateway.address]):
            await asyncio.sleep(BEFORE_SECONDS)
            async with fault(link):
                await asyncio.sleep(seconds)
            well_at = time.monotonic()
            await asyncio.sleep(AFTER_SECONDS)
        assert link.struck
        waits = tried.waits(well_at)
        print(f"\n{server}, {fault.__name__}, {link.struck} times", *waits, tried.refusals(), sep="\n  ")
        await tried.check()
    assert max(wait.longest for wait in waits) < BACK_SECONDS
