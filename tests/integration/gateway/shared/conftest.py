"""One installation and one gateway for the tests of a module: each test has galleries of its own."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.backend import Backend, open_backend
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.installation import Installation, open_installation
from triptych.devstack.stack import Addresses


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(stack: Addresses) -> AsyncIterator[Installation]:
    """One for all tests of the module."""
    async with open_installation(stack) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(installation: Installation) -> AsyncIterator[RunningGateway]:
    """A gateway with default settings, for all tests of the module."""
    async with running_gateway(installation) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def backend(installation: Installation) -> AsyncIterator[Backend]:
    """What stands behind the gateway; it hears the commands of its own test only."""
    async with open_backend(installation) as opened:
        yield opened
