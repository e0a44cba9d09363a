"""A process takes the time of the MongoDB that it has opened, from the driver's heartbeats."""

import time
from datetime import UTC, datetime
from typing import Literal

import pytest

from tests.support.installation import Installation
from tests.support.waiting import eventually
from triptych.kit.mongo.driver import open_database
from triptych.kit.process.clock import CLOCK, utc_now

pytestmark = pytest.mark.without_topics

HOUR = 3_600.0
NEAR_SECONDS = 5.0
"""Heartbeats of a busy machine are late."""


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_a_wrong_clock_does_not_matter_while_mongodb_is_open(
    installation: Installation, driver: Literal["pymongo", "motor"], monkeypatch: pytest.MonkeyPatch
) -> None:
    # No other client of this process knows the time.
    for source in list(CLOCK._sources):
        monkeypatch.setattr(source, "_is_closed", True)
        CLOCK.drop(source)
    monkeypatch.setattr(CLOCK, "_wall", lambda: time.time() + HOUR)
    assert _error() > HOUR - 1

    async def is_right() -> bool:
        return abs(_error()) < NEAR_SECONDS

    async with open_database(installation.addresses.mongo_uri, installation.name, driver):
        await eventually(is_right, "the time is MongoDB's")
    assert _error() > HOUR - 1


def _error() -> float:
    return (utc_now() - datetime.now(UTC)).total_seconds()
