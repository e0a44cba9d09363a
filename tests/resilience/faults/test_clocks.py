"""Clocks of machines are an hour ahead or behind, and are set under load: nothing is lost, late, or wrong in time."""

import asyncio
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.installation import Installation
from tests.support.kafka import topic_reader
from tests.support.receiver import Receiver, open_receiver, status
from tests.support.relay import Admin, relay_settings
from tests.support.restarts import instances
from tests.support.trial import Trial, trial
from tests.support.wrong_clock import WrongClock, libfaketime
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.api.examples import DEV_KEY
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

pytestmark = [
    pytest.mark.skipif("TRIPTYCH_TEST_OUTAGE" not in os.environ, reason="part of `make soak`"),
    pytest.mark.timeout(300),
]

HOUR = 3_600.0
BACK_SECONDS = 15.0
"""How soon work goes on after the clocks were set, and after processes were killed."""
TRUE_SECONDS = 5.0
"""By how much a time may be wrong: what a busy machine needs to send and to receive."""
BEFORE_SECONDS, SET_SECONDS, FAILING_SECONDS, AFTER_SECONDS = 3.0, 5.0, 2.0, 10.0
AHEAD = ("command-1", "webhooks-1", "gateway-1")
BEHIND = ("command-2", "projector-1", "webhooks-2")
RETRY_SECONDS = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]


async def times_are_right(installation: Installation, tried: Trial, began: float, receiver: Receiver) -> None:
    """The times of events, records, replies and signatures are those at which they happened."""
    ended = time.time()
    topics = installation.topics
    wanted = len(tried.load.sent()) + len(tried.galleries)
    for topic, kind in ((topics.events, b"wix."), (topics.replies, b"")):
        async with topic_reader(installation.addresses.kafka_bootstrap, topic) as reader:
            count = wanted if topic == topics.events else len(tried.load.by_topic)
            records = await reader.read_until(lambda found, count=count: len(found) >= count, topic)  # type: ignore[misc]
        for record in records:
            assert began - TRUE_SECONDS < record.timestamp / 1000 < ended + TRUE_SECONDS, topic
            if kind and dict(record.headers)["ce_type"].startswith(kind):
                at = datetime.fromisoformat(_time_of(orjson.loads(record.value))).timestamp()
                assert began - TRUE_SECONDS < at < ended + TRUE_SECONDS
    signed = [float(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert began - TRUE_SECONDS < min(signed)
    assert max(signed) < ended + TRUE_SECONDS


def _time_of(event: dict[str, Any]) -> str:
    return str(event["eventTime"])


async def test_nothing_is_lost_or_late_and_all_times_are_right(installation: Installation, tmp_path: Path) -> None:
    library = libfaketime()
    if library is None:
        pytest.skip("needs libfaketime (Debian: apt-get install libfaketime)")
    ahead, behind = WrongClock(library, tmp_path / "ahead"), WrongClock(library, tmp_path / "behind")
    ahead.set(HOUR)
    behind.set(-HOUR)
    environs = {**dict.fromkeys(AHEAD, ahead.environ), **dict.fromkeys(BEHIND, behind.environ)}
    names = (*AHEAD, *BEHIND)
    began = time.time()
    await store_key(installation.database, DEV_KEY, site_id=None, scopes=list(Scope), name="clocks")
    await ensure_indexes(installation.database, INDEXES)
    async with (
        open_receiver() as receiver,
        instances(installation, tmp_path, are_forks=False, environs=environs) as running,
    ):
        admin = Admin(installation.database, make_sealer(relay_settings(installation)))
        await admin.subscribe(receiver.url(), retryDelays=RETRY_SECONDS)
        for name in names:
            running.start(name)
        await running.ready(*names)
        async with trial(installation) as tried:
            async with tried.under_load(lambda: [running.address("gateway-1")]):
                await asyncio.sleep(BEFORE_SECONDS)
                set_at = time.monotonic()
                ahead.set(-HOUR)
                behind.set(HOUR)
                await asyncio.sleep(SET_SECONDS)
                # Deliveries that failed in one relay are sent in time by the other one, which has another clock.
                receiver.usual = status(503)
                await asyncio.sleep(FAILING_SECONDS)
                for name in ("command-1", "webhooks-1"):
                    await running.kill(name)
                killed_at = time.monotonic()
                receiver.usual = status(200)
                await asyncio.sleep(AFTER_SECONDS)
            waits = [*tried.waits(set_at), *tried.waits(killed_at)]
            print("", *waits, f"sent again because of {tried.refusals()}", sep="\n  ")
            await tried.check(receiver)
            await times_are_right(installation, tried, began, receiver)
    assert max(wait.longest for wait in waits) < BACK_SECONDS
