"""Both drivers behave alike, and unsuitable servers and addresses are refused."""

import asyncio
import gc
import inspect
import itertools
import os
import re
import time
from pathlib import Path
from typing import Any, Literal

import pymongo
import pytest
from pymongo import AsyncMongoClient, network_layer
from pymongo.asynchronous import pool
from pymongo.errors import AutoReconnect, NetworkTimeout

from tests.support.installation import Installation
from triptych.devstack.cache import cache_dir
from triptych.devstack.children import start_child
from triptych.devstack.mongo import mongod_missing, runnable_mongod
from triptych.devstack.ports import free_ports, is_free
from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.mongo import network
from triptych.kit.mongo.driver import (
    Collection,
    Database,
    Document,
    connect,
    is_duplicate_key,
    is_transient,
    open_database,
)
from triptych.kit.mongo.transactions import transaction

pytestmark = pytest.mark.without_topics

Driver = Literal["pymongo", "motor"]
REQUESTS = 100
both_drivers = pytest.mark.parametrize("driver", ["pymongo", "motor"])


@both_drivers
async def test_a_transaction_is_wholly_done_or_not_at_all(installation: Installation, driver: Driver) -> None:
    async with open_database(installation.addresses.mongo_uri, installation.name, driver) as database:
        await database.create_collection("things")
        async with transaction(database) as session:
            await database["things"].insert_many([{"_id": 1}, {"_id": 2}], session=session)
        with pytest.raises(LookupError):
            async with transaction(database) as session:
                await database["things"].insert_one({"_id": 3}, session=session)
                raise LookupError
        assert [thing["_id"] async for thing in database["things"].find().sort("_id")] == [1, 2]


@both_drivers
async def test_a_duplicate_key_is_recognised_and_not_transient(installation: Installation, driver: Driver) -> None:
    async with open_database(installation.addresses.mongo_uri, installation.name, driver) as database:
        await database["things"].insert_one({"_id": 1})
        with pytest.raises(Exception) as refused:  # noqa: PT011 - the class depends on the driver
            async with transaction(database) as session:
                await database["things"].insert_many([{"_id": 0}, {"_id": 1}], session=session)
        assert is_duplicate_key(refused.value)
        assert not is_transient(refused.value)
        assert await database["things"].count_documents({}) == 1


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mongodb://127.0.0.1:1/?w=1", "w=1"),
        ("mongodb://127.0.0.1:1/?w=0", "w=0"),
        ("http://127.0.0.1", "TRIPTYCH_MONGO_URI"),
    ],
)
@both_drivers
def test_unsafe_or_unreadable_addresses_are_refused(uri: str, words: str, driver: Driver) -> None:
    with pytest.raises(StartRefused, match=words):
        connect(uri, driver)


@pytest.mark.skipif(mongod_missing() is not None, reason="needs a mongod that can be started without its replica set")
@pytest.mark.stack
@pytest.mark.parametrize("arguments", [(), ("--replSet", "rs0")])
async def test_a_standalone_server_is_refused_with_the_way_out(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (port,) = free_ports(1)
    data = tmp_path / "data"
    data.mkdir()
    child = start_child(
        [
            runnable_mongod(cache_dir(os.environ)),
            "--dbpath",
            data,
            "--port",
            str(port),
            "--bind_ip",
            "127.0.0.1",
            *arguments,
        ],
        log=tmp_path / "mongod.log",
    )
    try:
        child.wait_until(lambda: not is_free(port), what="mongod", timeout=20)
        for options in ("", "/?replicaSet=rs0"):
            with pytest.raises(StartRefused) as refused:
                async with open_database(f"mongodb://127.0.0.1:{port}{options}", "x"):
                    pass
            # A replica set without members may get some while a service waits.
            assert isinstance(refused.value, NotYetAvailable) == bool(arguments), refused.value
            if not arguments:
                assert re.search(r"standalone.*--replSet rs0.*rs\.initiate", str(refused.value))
    finally:
        child.stop(10)


async def test_an_address_without_a_server_is_reported() -> None:
    (port,) = free_ports(1)
    with pytest.raises(StartRefused, match="MongoDB does not answer"):
        async with open_database(f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=200", "x"):
            pass


async def test_a_cancellation_of_a_request_is_never_lost(installation: Installation) -> None:
    """Whichever step of the event loop it comes at, also together with the reply."""
    things = installation.database["things"]
    await things.find_one()  # opens a connection
    answered = 0
    for steps in itertools.count():
        asking = asyncio.create_task(things.find_one())
        for _ in range(steps):
            await asyncio.sleep(0)
        is_cancelled = asking.cancel()
        await asyncio.wait({asking})
        assert asking.cancelled() == is_cancelled, f"lost after {steps} steps"
        answered += not is_cancelled
        if answered == 3:
            break
        await things.find_one()  # a cancelled request has closed its connection


SLOW = {"$where": "sleep(5000) || true"}


async def test_a_reply_is_not_awaited_longer_than_the_address_says(installation: Installation) -> None:
    client: AsyncMongoClient[Document]
    async with AsyncMongoClient(installation.addresses.mongo_uri, retryReads=False, socketTimeoutMS=300) as client:
        database: Database = client[installation.name]
        await database["things"].insert_one({})
        started = time.monotonic()
        with pytest.raises(NetworkTimeout, match="timed out"):
            await database["things"].find_one(SLOW)
        assert 0.3 <= time.monotonic() - started < 3


async def test_a_reply_that_is_there_at_the_deadline_is_taken(installation: Installation) -> None:
    """This process was busy when the reply came, and then the deadline."""
    client: AsyncMongoClient[Document]
    async with AsyncMongoClient(installation.addresses.mongo_uri, retryReads=False, socketTimeoutMS=500) as client:
        things: Collection = client[installation.name]["things"]
        await things.insert_one({"_id": 1})
        (server,) = client._topology._servers.values()
        protocol = server.pool.conns[0].conn.get_conn
        asking = asyncio.create_task(things.find_one({"$where": "sleep(100) || true"}))
        async with asyncio.timeout(3):
            while not protocol._pending_messages:
                await asyncio.sleep(0)
        time.sleep(0.7)  # noqa: ASYNC251 - the loop cannot run
        assert await asking == {"_id": 1}
        assert not protocol.transport.is_closing()


async def test_a_reply_that_is_there_is_taken_without_time_left(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = installation.database["things"]
    await things.insert_one({"_id": 1})

    async def send_slowly(protocol: Any, message: bytes) -> None:
        await network.send(protocol, message)
        await asyncio.sleep(0)  # the loop writes
        time.sleep(0.3)  # noqa: ASYNC251 - the loop cannot run

    monkeypatch.setattr(pool, "async_sendall", send_slowly)
    with pymongo.timeout(0.2):
        assert await things.find_one() == {"_id": 1}


async def test_a_reply_is_not_awaited_on_a_connection_that_was_given_up(installation: Installation) -> None:
    client: AsyncMongoClient[Document]
    async with AsyncMongoClient(installation.addresses.mongo_uri, retryReads=False) as client:
        database: Database = client[installation.name]
        await database["things"].insert_one({})
        asking = asyncio.create_task(database["things"].find_one(SLOW))
        (server,) = client._topology._servers.values()
        async with asyncio.timeout(3):
            while not server.pool.active_sockets:
                await asyncio.sleep(0)
            for context in server.pool.active_contexts:
                context.cancel()
            with pytest.raises(AutoReconnect, match="operation cancelled"):
                await asking


async def test_a_request_leaves_nothing_to_the_collector_of_cyclic_garbage(installation: Installation) -> None:
    """Otherwise the records of a batch, which a timer's context refers to, stay in memory until it runs."""
    things = installation.database["things"]
    await things.find_one()  # opens a connection
    gc.collect()
    gc.disable()
    try:
        for _ in range(REQUESTS):
            await things.find_one()
        # The monitors of the client may leave some objects meanwhile; a cycle of each request would be more.
        assert gc.collect() < REQUESTS
    finally:
        gc.enable()


def test_the_driver_still_starts_two_tasks_for_each_reply() -> None:
    """Once the driver does not, remove `kit/mongo/network.py`."""
    assert inspect.getsource(network_layer.async_receive_message).count("create_task(") == 2
