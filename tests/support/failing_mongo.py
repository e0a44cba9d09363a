"""A separate MongoDB that fails on request, by the failpoints of mongod."""

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from triptych.devstack.cache import cache_dir
from triptych.devstack.errors import StackUnavailable
from triptych.devstack.mongo import REPLICA_SET, mongod_missing, running_mongo
from triptych.devstack.ports import LOOPBACK, free_ports


@dataclass
class Failures:
    """How many commands have failed."""

    count: int = 0


class FailingMongo:
    """The address of the server, and a way to make it fail."""

    def __init__(self, port: int) -> None:
        self.uri = f"mongodb://{LOOPBACK}:{port}/?replicaSet={REPLICA_SET}"

    @asynccontextmanager
    async def failing_sometimes(self, commands: Sequence[str], share: float, **how: object) -> AsyncIterator[Failures]:
        """Let this share of these commands fail during the block; afterwards the value says how many were concerned."""
        failures = Failures()
        async with AsyncMongoClient[dict[str, Any]](self.uri) as client:
            data = {"failCommands": list(commands), **how}
            mode = {"activationProbability": share}
            before = await client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
            try:
                yield failures
            finally:
                after = await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
                failures.count = after["count"] - before["count"]

    @asynccontextmanager
    async def failing(self, commands: Sequence[str], *, times: int | None = None, **how: object) -> AsyncIterator[None]:
        """Let these commands fail during the block, always or `times` times, as the options of `failCommand` say."""
        async with AsyncMongoClient[dict[str, object]](self.uri) as client:
            data = {"failCommands": list(commands), **how}
            mode = "alwaysOn" if times is None else {"times": times}
            await client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
            try:
                yield
            finally:
                await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@pytest.fixture(scope="module")
def failing_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailingMongo]:
    """A replica set of one member; the tests of a module share it."""
    if mongod_missing() is not None:
        pytest.skip("needs a mongod that can be started with failpoints")
    directory = tmp_path_factory.mktemp("failing")
    (port,) = free_ports(1)
    try:
        with running_mongo(
            data=directory / "mongo",
            log=directory / "mongod.log",
            port=port,
            cache=cache_dir(os.environ),
            parameters=["enableTestCommands=1"],
        ) as until_ready:
            until_ready()
            yield FailingMongo(port)
    except StackUnavailable as unavailable:
        raise pytest.fail.Exception(str(unavailable), pytrace=False) from None
