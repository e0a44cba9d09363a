"""Errors of MongoDB that the driver marks as transient, repeatable or unknown: under load they lose and double nothing.

What follows one such error at one place is the subject of `integration/command/test_unknown_commits.py` and of
`integration/kit/test_transactions.py`. Here they befall all services and all their commands at random.
"""

import asyncio
import time
from typing import Any

import pytest

from tests.support.failing_mongo import FailingMongo
from tests.support.installation import Installation
from tests.support.product import running_product
from tests.support.receiver import open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.trial import trial
from triptych.devstack.addresses import Addresses
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.api.examples import DEV_KEY
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.app import compose as compose_relay
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

SHARE = 0.3
"""Of the commands that fail while an error lasts."""
SECONDS = 0.5
"""How long each error lasts, at least: until it has befallen `TIMES` commands."""
TIMES = 3
WRITES = ["insert", "update", "delete", "findAndModify", "bulkWrite"]
READS = ["find", "aggregate", "getMore"]
COMMIT = ["commitTransaction"]
ERRORS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "a commit is undone": (COMMIT, {"errorCode": 251, "errorLabels": ["TransientTransactionError"]}),
    "a commit is not answered": (COMMIT, {"closeConnection": True}),
    "a commit is interrupted by a stop": (COMMIT, {"errorCode": 91, "errorLabels": ["RetryableWriteError"]}),
    "a commit has no majority in time": (
        COMMIT,
        {"writeConcernError": {"code": 64, "codeName": "WriteConcernTimeout", "errmsg": "waiting for replication"}},
    ),
    "a write conflicts": (WRITES, {"errorCode": 112, "errorLabels": ["TransientTransactionError"]}),
    "a write meets a primary that steps down": (WRITES, {"errorCode": 189, "errorLabels": ["RetryableWriteError"]}),
    "a write loses its connection": (WRITES, {"closeConnection": True}),
    "a read loses its connection": (READS, {"closeConnection": True}),
    "a read meets a primary that steps down": (READS, {"errorCode": 189}),
}


@pytest.fixture(scope="module")
def stack(stack: Addresses, failing_mongo: FailingMongo) -> Addresses:
    """The Kafka of the other tests, and a MongoDB that fails on request."""
    return Addresses(stack.kafka_bootstrap, failing_mongo.uri, stack.provider)


async def befall(failing_mongo: FailingMongo, commands: list[str], how: dict[str, Any]) -> int:
    """Let an error befall commands; gives how many."""
    count, ends_at = 0, time.monotonic() + 30
    while count < TIMES:
        assert time.monotonic() < ends_at, f"only {count} of {commands}"
        async with failing_mongo.failing_sometimes(commands, SHARE, **how) as failures:
            await asyncio.sleep(SECONDS)
        count += failures.count
    return count


@pytest.mark.timeout(180)
async def test_errors_under_load_lose_and_double_nothing(
    installation: Installation, failing_mongo: FailingMongo
) -> None:
    await store_key(installation.database, DEV_KEY, site_id=None, scopes=list(Scope), name="errors")
    await ensure_indexes(installation.database, INDEXES)
    settings = relay_settings(installation)
    admin = Admin(installation.database, make_sealer(settings))
    async with (
        open_receiver() as receiver,
        running_product(installation) as gateway,
        compose_relay(settings),
    ):
        await admin.subscribe(receiver.url())
        async with trial(installation) as tried:
            async with tried.under_load(lambda: [gateway.address]):
                counts = {}
                for error, (commands, how) in ERRORS.items():
                    counts[error] = await befall(failing_mongo, commands, how)
            print(counts)
            await tried.check(receiver)
