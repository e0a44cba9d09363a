"""One installation for the tests of a module, with a command service: each test has galleries of its own."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.installation import Installation, open_installation
from tests.support.product import running_command_service
from triptych.devstack.stack import Addresses


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(stack: Addresses) -> AsyncIterator[Installation]:
    """An installation in which nothing runs."""
    async with open_installation(stack) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(shared: Installation) -> AsyncIterator[Installation]:
    """The same with a command service."""
    async with running_command_service(shared):
        yield shared
