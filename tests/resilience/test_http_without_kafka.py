"""The gateway while Kafka is away, and after it has come back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.installation import Installation
from tests.support.late_port import LatePort
from tests.support.own_servers import OwnServers
from tests.support.product import Gateway, running_product
from tests.support.waiting import eventually
from triptych.devstack.addresses import Addresses
from triptych.gateway.writing.writes import COMMAND_ID_HEADER

pytestmark = pytest.mark.xdist_group("own-servers")


@pytest.fixture
def stack(servers: OwnServers) -> Addresses:
    """Servers whose Kafka can be away."""
    return servers.addresses_cut_off


@pytest.fixture
async def kafka(servers: OwnServers) -> AsyncIterator[LatePort]:
    """The only way to that Kafka."""
    async with servers.way_to_kafka() as port:
        yield port


@pytest.fixture
def installation(kafka: LatePort, installation: Installation) -> Installation:
    """An installation there."""
    return installation


@asynccontextmanager
async def open_stream(gateway: Gateway) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream of events."""
    async with gateway.client.stream("GET", "/v2/events") as stream:
        yield stream.aiter_lines()


async def until(lines: AsyncIterator[str], is_wanted: Callable[[str], bool]) -> str:
    """The first line that is wanted."""
    async with asyncio.timeout(60):
        async for line in lines:
            if is_wanted(line):
                return line
    raise AssertionError("the stream has ended")


async def test_writes_are_refused_and_reads_are_not(kafka: LatePort, installation: Installation) -> None:
    async with running_product(installation, gateway_stream_heartbeat=0.1) as gateway, open_stream(gateway) as lines:
        gallery = (await gateway.client.post("/v2/galleries")).raise_for_status().json()["gallery"]
        path = f"/v2/galleries/{gallery['id']}"
        async with kafka.closed():
            refused = await gateway.client.post(f"{path}/items", json={"item": {"text": {"html": "x"}}})
            assert (refused.status_code, refused.json()) == (503, {"message": "", "details": {}})
            assert refused.headers["Retry-After"] == "1"
            again = {"Idempotency-Key": refused.headers[COMMAND_ID_HEADER]}
            assert (await gateway.client.get(path)).json()["gallery"] == gallery
            for since in ({}, {"Last-Event-ID": "0:0,1:0,2:0"}):
                stream = await gateway.client.get("/v2/events", headers=since)
                assert (stream.status_code, stream.headers["Retry-After"]) == (503, "1")
            ready = await gateway.client.get(f"{gateway.address}/health/ready")
            assert (ready.status_code, ready.json()["problems"]["kafka"]) == (503, "Kafka does not answer")
            # A stream that was open before says so to people, and events come again by themselves.
            assert await until(lines, lambda line: line.startswith(":")) == ": Kafka does not answer"

        async def is_written() -> bool:
            body = {"item": {"text": {"html": "x"}}}
            return (await gateway.client.post(f"{path}/items", json=body, headers=again)).status_code == 200

        # However often it was tried, and whether or not a try that was refused had reached Kafka, it is there once.
        await eventually(is_written, "the write is taken", deadline_seconds=60)
        await is_written()
        await until(lines, lambda line: line == "event: gallery_item_created")
        assert (await gateway.client.get(path)).json()["gallery"]["totalItems"] == 1
