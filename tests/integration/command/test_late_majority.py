"""Events of a commit that reaches its majority late are published before those of later commits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.failing_mongo import FailingMongo
from tests.support.installation import Installation
from tests.support.shards import MODE, RULES
from triptych.command.store.outbox import Outbox
from triptych.devstack.addresses import Addresses
from triptych.kit.kafka.publishing.publisher import OutgoingRecord
from triptych.kit.mongo.driver import WriteConcern

pytestmark = pytest.mark.without_topics


@pytest.fixture(scope="module")
def stack(stack: Addresses, failing_mongo: FailingMongo) -> Addresses:
    """The Kafka of the other tests, and a MongoDB that fails on request."""
    return Addresses(stack.kafka_bootstrap, failing_mongo.uri, stack.provider)


@asynccontextmanager
async def no_majority(installation: Installation) -> AsyncIterator[None]:
    """Keep writes from reaching a majority during the block: majority reads show the database as it was before."""
    admin = installation.database.client.admin
    await admin.command({"configureFailPoint": "disableSnapshotting", "mode": "alwaysOn"})
    try:
        yield
    finally:
        await admin.command({"configureFailPoint": "disableSnapshotting", "mode": "off"})
        await installation.database["outbox"].insert_one({"_id": "after"})  # its majority includes the earlier writes


class Published:
    """Replaces the publisher, and remembers the published records."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []

    async def publish(self, records: list[OutgoingRecord]) -> None:
        self.records += records


@pytest.mark.skipif(MODE == RULES, reason="on a cluster reads at a moment wait, and this server is none")
async def test_flushing_the_outbox_waits_for_rows_that_have_no_majority_yet(
    installation: Installation,
) -> None:
    published = Published()
    outbox = Outbox(installation.database, published, "events")  # type: ignore[arg-type]
    rows = installation.database["outbox"]
    await rows.insert_one({"_id": "before"})  # a majority read of a collection that no majority has would wait
    async with no_majority(installation):
        event = {"key": b"g", "value": b"{}", "headers": {}}
        row = {"_id": "1-1-1", "partition": 1, "epoch": 1, "number": 1, "pending": True, "events": [event]}
        await rows.with_options(write_concern=WriteConcern(1)).insert_one(row)
        assert await rows.find_one({"pending": True}) is None, "no majority read shows it yet"
        flushing = asyncio.create_task(outbox.flush([1]))
        done, _ = await asyncio.wait({flushing}, timeout=1)
        assert not done, flushing.result()
    assert await flushing == 1
    assert [record.key for record in published.records] == [b"g"]
