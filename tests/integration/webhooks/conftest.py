"""Fixtures: a relay, a receiver, a publisher of events, and an administrator who reads deliveries."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.installation import Installation
from tests.support.relay import OpenRelay, relay_settings
from triptych.webhooks.app import compose


@pytest.fixture
def open_relay(installation: Installation) -> OpenRelay:
    """Starts a relay with the given settings."""

    @asynccontextmanager
    async def start(**fields: object) -> AsyncIterator[Any]:
        async with compose(relay_settings(installation, **fields)) as app:
            yield app

    return start
