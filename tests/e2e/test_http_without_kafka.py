"""The gateway while Kafka is down, and after it has come back."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import Installation
from tests.support.own_kafka import OwnKafka
from tests.support.product import running_product
from tests.support.waiting import eventually
from triptych.devstack.processes import processes_missing
from triptych.devstack.stack import Addresses
from triptych.gateway.writing.writes import COMMAND_ID_HEADER
from triptych.kit.mongo.driver import open_database
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.provision import ensure_topics


@pytest.fixture
def own_kafka(tmp_path: Path) -> Any:
    """A running broker of this test."""
    if lacks := processes_missing(os.environ):
        pytest.skip(f"needs a broker of its own: {lacks[0]}")
    kafka = OwnKafka(tmp_path)
    kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
async def own_installation(own_kafka: OwnKafka, stack: Addresses) -> AsyncIterator[Installation]:
    """An installation on it, and on the MongoDB of all tests."""
    name = f"t{uuid.uuid4().hex[:10]}"
    async with open_database(stack.mongo_uri, name) as database:
        made = Installation(Addresses(own_kafka.bootstrap, stack.mongo_uri, stack.provider), name, database)
        await ensure_topics(made.settings(KitSettings), made.topic_specs)
        yield made
        await database.client.drop_database(name)


async def test_writes_are_refused_and_reads_are_not(own_kafka: OwnKafka, own_installation: Installation) -> None:
    async with running_product(own_installation) as gateway:
        gallery = (await gateway.client.post("/v2/galleries")).raise_for_status().json()["gallery"]
        path = f"/v2/galleries/{gallery['id']}"
        await asyncio.to_thread(own_kafka.stop)
        refused = await gateway.client.post(f"{path}/items", json={"item": {"text": {"html": "x"}}})
        assert (refused.status_code, refused.json()) == (503, {"message": "", "details": {}})
        assert refused.headers["Retry-After"] == "1"
        again = {"Idempotency-Key": refused.headers[COMMAND_ID_HEADER]}
        assert (await gateway.client.get(path)).json()["gallery"] == gallery
        for since in ({}, {"Last-Event-ID": "0:0,1:0,2:0"}):
            stream = await gateway.client.get("/v2/events", headers=since)
            assert (stream.status_code, stream.headers["Retry-After"]) == (503, "1")
        ready = await gateway.client.get(f"{gateway.address}/health/ready")
        assert (ready.status_code, ready.json()["problems"]) == (503, {"kafka": "Kafka does not answer"})

        own_kafka.start()

        async def is_written() -> bool:
            body = {"item": {"text": {"html": "x"}}}
            return (await gateway.client.post(f"{path}/items", json=body, headers=again)).status_code == 200

        # However often it was tried, and whether or not a try that was refused had reached Kafka, it is there once.
        await eventually(is_written, "the write is taken", deadline_seconds=60)
        await is_written()
        assert (await gateway.client.get(path)).json()["gallery"]["totalItems"] == 1
