"""What the tests of the read model share: a database with the indexes of the views."""

from collections.abc import AsyncIterator

import pytest

from tests.support.installation import open_own_database
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import Database, DriverName
from triptych.kit.startup.provision import ensure_indexes
from triptych.readmodel.queries import INDEXES


@pytest.fixture
async def database(stack: Addresses, driver: DriverName) -> AsyncIterator[Database]:
    """A database with the indexes of the views; no topics."""
    async with open_own_database(stack, driver) as database:
        await ensure_indexes(database, INDEXES)
        yield database


@pytest.fixture
def driver() -> DriverName:
    """The usual one."""
    return "pymongo"
