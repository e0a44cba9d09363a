"""A gateway on a real port, and a scripted backend."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.support.backend import Backend, open_backend
from tests.support.gateway import RunningGateway, StartGateway, running_gateway
from tests.support.installation import Installation


@pytest.fixture
def start_gateway(installation: Installation) -> StartGateway:
    """Starts a gateway with settings of its own."""
    return partial(running_gateway, installation)


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> AsyncIterator[RunningGateway]:
    """A gateway with default settings."""
    async with start_gateway() as started:
        yield started


@pytest.fixture
async def backend(installation: Installation) -> AsyncIterator[Backend]:
    """The scripted backend; it does only what a test calls."""
    async with open_backend(installation) as opened:
        yield opened
