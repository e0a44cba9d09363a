"""An installation on servers that may be killed."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.installation import Installation, open_installation
from tests.support.own_servers import OwnServers


@pytest_asyncio.fixture
async def installation(servers: OwnServers) -> AsyncIterator[Installation]:
    """An installation on servers that may be killed; the judge looks at its dead letters."""
    async with open_installation(servers.addresses) as made:
        yield made
