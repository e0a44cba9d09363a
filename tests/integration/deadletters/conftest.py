"""One installation for the tests of a module, and the dead letters on it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.installation import Installation, open_installation
from triptych.deadletters.administration import DeadLetters
from triptych.deadletters.store.marks import INDEXES
from triptych.devstack.stack import Addresses
from triptych.kit.process.settings import IdempotencySettings
from triptych.kit.startup.provision import ensure_indexes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(stack: Addresses) -> AsyncIterator[Installation]:
    """One for all tests of the module: each test has dead letters with a reason of its own."""
    async with open_installation(stack) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dead_letters(installation: Installation) -> AsyncIterator[DeadLetters]:
    """The dead letters of the installation."""
    await ensure_indexes(installation.database, INDEXES)
    opened = DeadLetters(installation.settings(IdempotencySettings), installation.database)
    yield opened
    await opened.stop()
