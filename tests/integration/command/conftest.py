"""Provides a producer that sends commands and reads their replies and events."""

from collections.abc import AsyncIterator

import pytest

from tests.support.early_jobs import early_jobs as early_jobs
from tests.support.installation import Installation
from tests.support.sender import Sender, sending
from tests.support.shards import in_all_tests as in_all_tests
from tests.support.shards import router as router
from triptych.command.app import compose
from triptych.command.settings import CommandSettings


@pytest.fixture
async def sender(installation: Installation) -> AsyncIterator[Sender]:
    """A sender, with a command service that runs."""
    async with sending(installation) as made, compose(installation.settings(CommandSettings)):
        yield made
