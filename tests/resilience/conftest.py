"""What holds at the end of every test here, whatever the test itself is about, and servers that tests may stop."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.installation import Installation
from tests.support.ours import assert_no_record_of_ours_is_dead
from tests.support.own_servers import OwnServers, own_servers
from triptych.devstack.errors import StackUnavailable
from triptych.devstack.processes import processes_missing


@pytest.fixture
async def installation(installation: Installation) -> AsyncIterator[Installation]:
    """An installation in which no record of the product's own is a dead letter afterwards."""
    yield installation
    await assert_no_record_of_ours_is_dead(installation)


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServers]:
    """Servers that tests may stop. The tests are one group, since a start takes 6 s of processor time."""
    if lacks := processes_missing(os.environ):
        pytest.skip(f"needs servers of its own: {lacks[0]}")
    try:
        with own_servers(tmp_path_factory.mktemp("servers")) as running:
            yield running
    except StackUnavailable as unavailable:
        raise pytest.fail.Exception(str(unavailable), pytrace=False) from None
