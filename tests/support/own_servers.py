"""Servers that tests may freeze and kill, and a second address of Kafka that a test can cut off."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.faulty_link import FaultyLink, faulty_link
from tests.support.late_port import LatePort
from tests.support.servers import pids_of
from triptych.devstack.addresses import Addresses, Provider
from triptych.devstack.cache import cache_dir
from triptych.devstack.children import Child
from triptych.devstack.kafka import running_kafka
from triptych.devstack.mongo import REPLICA_SET, running_mongo
from triptych.devstack.ports import LOOPBACK, free_ports

STOP_SECONDS = 20.0


@dataclass(frozen=True)
class OwnServers:
    """Running servers of a group of tests.

    Attributes:
        addresses: of both servers.
        restarted: servers that a test has started again; they end with the others.
    """

    addresses: Addresses
    restarted: list[Child]
    _data: Path
    _cut_off: tuple[int, int]
    """The port of the second address, and the port behind it."""

    def pids(self, server: str) -> list[int]:
        """The processes of `kafka` or of `mongo`."""
        return pids_of(self._data / server)

    @property
    def addresses_cut_off(self) -> Addresses:
        """The addresses, with the second one of Kafka. Its clients learn no other."""
        return replace(self.addresses, kafka_bootstrap=f"{LOOPBACK}:{self._cut_off[0]}")

    @asynccontextmanager
    async def way_to_kafka(self) -> AsyncIterator[LatePort]:
        """The port of the second address, open at first. Nobody listens there while it is closed."""
        port, behind = self._cut_off
        way = LatePort(LOOPBACK, behind, port)
        await way.open()
        try:
            yield way
        finally:
            await way.close()

    @asynccontextmanager
    async def links(self) -> AsyncIterator[tuple[FaultyLink, FaultyLink, Addresses]]:
        """A link to MongoDB, one to Kafka, and the addresses of both ends, through which alone their clients go."""
        port, behind = self._cut_off
        async with (
            faulty_link("mongo", int(self.addresses.mongo_uri.rpartition(":")[2].partition("/")[0])) as to_mongo,
            faulty_link("kafka", behind, port) as to_kafka,
        ):
            # A client of the replica set would learn the address of its member, and go there.
            mongo_uri = f"mongodb://{LOOPBACK}:{to_mongo.port}/?directConnection=true"
            yield to_mongo, to_kafka, replace(self.addresses_cut_off, mongo_uri=mongo_uri)


@contextmanager
def own_servers(folder: Path) -> Iterator[OwnServers]:
    """Run both servers with their data in this folder. Raises StackUnavailable."""
    mongo_port, port, controller_port, outer_port, inner_port = free_ports(5)
    # Clients connect to what the broker tells them, so the address that can be cut off needs a listener of its own.
    properties = {
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CUT://{LOOPBACK}:{inner_port}"
        f",CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port},CUT://{LOOPBACK}:{outer_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CUT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    data, cache = folder.resolve(), cache_dir(os.environ)
    restarted: list[Child] = []
    mongo = running_mongo(data=data / "mongo", log=data / "logs" / "mongo.log", port=mongo_port, cache=cache)
    kafka = running_kafka(
        data=data / "kafka",
        logs=data / "logs",
        port=port,
        controller_port=controller_port,
        cache=cache,
        environ=os.environ,
        say=print,
        properties=properties,
    )
    with mongo as mongo_ready, kafka as kafka_ready:
        mongo_ready()
        kafka_ready()
        mongo_uri = f"mongodb://{LOOPBACK}:{mongo_port}/?replicaSet={REPLICA_SET}"
        addresses = Addresses(f"{LOOPBACK}:{port}", mongo_uri, Provider.PROCESSES)
        try:
            yield OwnServers(addresses, restarted, data, (outer_port, inner_port))
        finally:
            for child in restarted:
                child.stop(STOP_SECONDS)
