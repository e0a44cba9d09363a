"""Fixtures for modules whose tests share one installation and one gateway: each test has galleries of its own.

Such a module imports them, and has `pytestmark = shared("its name")`.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.gateway.backend import Backend, open_backend
from tests.integration.gateway.conftest import RunningGateway, running_gateway
from tests.support.installation import Installation, open_installation
from triptych.devstack.stack import Addresses


def shared(name: str) -> list[pytest.MarkDecorator]:
    """Marks of a module: its tests use the fixtures' event loop, on one worker."""
    return [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group(name)]


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
