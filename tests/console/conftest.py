"""One product and one browser for all tests. A page fails its test if it loads anything from elsewhere."""

import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.support.console_flows import opened_tab
from tests.support.installation import Installation, open_installation
from tests.support.late_port import LatePort
from tests.support.own_servers import OwnServers, own_servers
from tests.support.product import Gateway, running_product
from tests.support.stack import folder_in_memory
from triptych.devstack.processes import processes_missing
from triptych.gateway.pages.console_page import BUILT

CHROMIUM = shutil.which("chromium")
expect.set_options(timeout=20_000)  # the usual 5 s are too few for several writes, one after another, on a busy machine


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServers | None]:
    """Servers whose Kafka can be cut off; None where servers cannot be processes of this machine.

    They cost no more than those of other tests, which these tests do without.
    """
    if processes_missing(os.environ):
        yield None
        return
    with folder_in_memory() as folder, own_servers(folder or tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def way_to_kafka(servers: OwnServers | None) -> AsyncIterator[LatePort | None]:
    """The only way that the product has to Kafka."""
    if servers is None:
        yield None
        return
    async with servers.way_to_kafka() as way:
        yield way


@pytest.fixture
def kafka(way_to_kafka: LatePort | None) -> LatePort:
    """The way to Kafka, which the test may close."""
    if way_to_kafka is None:
        pytest.skip("needs servers as processes of this machine")
    return way_to_kafka


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def made(
    servers: OwnServers | None, way_to_kafka: LatePort | None, request: pytest.FixtureRequest
) -> AsyncIterator[Installation]:
    """The topics and the database of the product."""
    addresses = request.getfixturevalue("stack") if servers is None else servers.addresses_cut_off
    async with open_installation(addresses) as opened:
        yield opened


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def product(made: Installation) -> AsyncIterator[Gateway]:
    """The whole product. What is late on a busy machine is not what these tests are about."""
    assert (BUILT / "index.html").is_file(), "`make console` builds the console"
    # A stream says soon whether events can come, and the listeners of this machine have secrets.
    fields = {"gateway_view_timeout": 30, "gateway_stream_heartbeat": 0.5, "local": True}
    async with running_product(made, **fields) as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed; .ci/run installs it")
    async with async_playwright() as playwright:
        # Chromium's sandbox needs rights that a container does not have. It opens our own pages only.
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        await opened.close()


@pytest.fixture
def gateway(product: Gateway) -> Gateway:
    """The gateway, and a client with a site that no other test uses."""
    product.client.headers["wix-site-id"] = uuid.uuid4().hex
    return product


@pytest_asyncio.fixture(loop_scope="package")
async def page(browser: Browser, gateway: Gateway) -> AsyncIterator[Page]:
    """An empty tab, whose addresses begin at the gateway. It may load nothing from elsewhere, and break no policy."""
    async with opened_tab(browser, gateway) as tab:
        yield tab


@pytest_asyncio.fixture(loop_scope="package")
async def other_page(browser: Browser, gateway: Gateway) -> AsyncIterator[Page]:
    """The tab of another person."""
    async with opened_tab(browser, gateway) as tab:
        yield tab
