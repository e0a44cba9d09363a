"""What holds at the end of every test here, whatever the test itself is about."""

from collections.abc import AsyncIterator

import pytest

from tests.support.installation import Installation
from tests.support.ours import assert_no_record_of_ours_is_dead


@pytest.fixture
async def installation(installation: Installation) -> AsyncIterator[Installation]:
    """An installation in which no record of the product's own is a dead letter afterwards."""
    yield installation
    await assert_no_record_of_ours_is_dead(installation)
