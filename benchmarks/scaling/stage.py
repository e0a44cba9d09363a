"""Gives a point its topics, its database and the processes of the product, and reads what all processes have used."""

import asyncio
import re
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.http_load import until_ready
from benchmarks.process import tree_cpu_seconds
from benchmarks.scaling import stored
from benchmarks.scaling.points import Conditions
from benchmarks.scenario import ROOT, RoundFailed
from benchmarks.servers import Servers
from triptych.contract.topics import Topics
from triptych.devstack.children import Child, start_child, stop_all
from triptych.devstack.ports import free_ports
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import Database, open_database
from triptych.kit.process.settings import PREFIX, KitSettings
from triptych.kit.startup.provision import ensure_topics

STOP_SECONDS = 30.0
REPLY_TOPICS = 2
_BATCHES = re.compile(r'triptych_batch_records_count\{topic="([^"]+)"\} ([0-9.e+]+)')


@dataclass(frozen=True, slots=True)
class Service:
    """A process of the product: its name (`command`), and the port of its health and metrics."""

    name: str
    child: Child
    port: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What was used up to a moment: processor seconds by kind of process, and counters of MongoDB."""

    at: float
    cpu: dict[str, float]
    pages: int
    """Pages that MongoDB has read into its cache."""
    network: int
    """Bytes that MongoDB has received and sent."""


@dataclass(frozen=True)
class Stage:
    """The servers of a point and what belongs to it alone. The topics exist, and are empty."""

    conditions: Conditions
    addresses: Addresses
    servers: Servers
    name: str
    database: Database
    folder: Path

    @property
    def topics(self) -> Topics:
        """The topics of this point."""
        return Topics(f"{self.name}.")

    @property
    def settings(self) -> KitSettings:
        """The settings of the product for this point."""
        return KitSettings.model_validate(self._fields())

    async def start(self, service: str, processes: int, **fields: object) -> list[Service]:
        """Start processes of a service, and wait until all are ready. Raises RoundFailed."""
        started = []
        for number, port in enumerate(free_ports(processes)):
            given = {**self._fields(), f"{service}_port": port, "instance_id": f"{service}-{number}", **fields}
            environ = {f"{PREFIX}{name.upper()}": str(value) for name, value in given.items()}
            log = self.folder / f"{self.name}-{service}-{number}.log"
            child = start_child([sys.executable, "-m", f"triptych.{service}"], env=environ, log=log, cwd=ROOT)
            started.append(Service(service, child, port))
        try:
            for each in started:
                await until_ready(each.child, f"http://127.0.0.1:{each.port}/health/ready")
        except BaseException:
            await stop(started)
            raise
        return started

    async def read(self, services: Sequence[Service]) -> Reading:
        """What services and servers have used up to now."""
        cpu = {
            "broker": tree_cpu_seconds(self.servers.broker),
            "mongod": sum(map(tree_cpu_seconds, self.servers.mongods)),
        }
        for service in services:
            cpu[service.name] = cpu.get(service.name, 0.0) + tree_cpu_seconds(service.child.pid)
        at = time.monotonic()
        status = await self.database.command("serverStatus")
        network = status["network"]["bytesIn"] + status["network"]["bytesOut"]
        return Reading(at, cpu, status["wiredTiger"]["cache"]["pages read into cache"], network)

    def records_bytes(self) -> dict[str, int]:
        """The bytes of the records on each topic, compressed, by the name of the topic without its prefix."""
        found: Counter[str] = Counter()
        for log in self.folder.parent.joinpath("kafka", "records").glob(f"{self.name}.*/*.log"):
            found[log.parent.name.removeprefix(f"{self.name}.").rpartition("-")[0]] += log.stat().st_size
        return dict(found)

    async def set_cache(self, mebibytes: int) -> None:
        """Change the size of MongoDB's cache while it runs."""
        config = {"setParameter": 1, "wiredTigerEngineRuntimeConfig": f"cache_size={mebibytes}M"}
        await self.database.client.admin.command(config)

    def _fields(self) -> dict[str, object]:
        return {
            "kafka_bootstrap": self.addresses.kafka_bootstrap,
            "mongo_uri": self.addresses.mongo_uri,
            "mongo_database": self.database.name,
            "topic_prefix": f"{self.name}.",
            "topic_partitions": self.conditions.partitions,
            "reply_topics": REPLY_TOPICS,
        }


async def batches(services: Sequence[Service], topic: str) -> float:
    """The batches that these processes have finished, from their metrics. Raises RoundFailed."""
    total = 0.0
    async with httpx.AsyncClient() as client:
        for service in services:
            text = (await client.get(f"http://127.0.0.1:{service.port}/metrics")).text
            counts = [float(value) for name, value in _BATCHES.findall(text) if name == topic]
            if not counts:
                raise RoundFailed(f"{service.name} reports no batches of {topic}")
            total += sum(counts)
    return total


async def stop(services: Sequence[Service]) -> None:
    """Stop processes."""
    await asyncio.to_thread(stop_all, [service.child for service in services], STOP_SECONDS)


@asynccontextmanager
async def staged(
    conditions: Conditions, addresses: Addresses, servers: Servers, folder: Path, database_name: str | None
) -> AsyncIterator[Stage]:
    """Make the topics of a point, and remove them afterwards.

    `database_name` is a database of `stored.prepare`; None gives the point an empty one. Logs go to `folder`.
    """
    name = f"scale{uuid.uuid4().hex[:8]}"
    async with open_database(addresses.mongo_uri, database_name or name) as database:
        stage = Stage(conditions, addresses, servers, name, database, folder)
        if database_name is not None:
            await stored.forget_traces(database)
        specs = stage.topics.catalogue(conditions.partitions, 1, reply_topics=REPLY_TOPICS)
        await ensure_topics(stage.settings, specs)
        await stage.set_cache(conditions.cache_mib)
        try:
            yield stage
        finally:
            if database_name is None:
                await database.client.drop_database(name)
            admin = AIOKafkaAdminClient(bootstrap_servers=addresses.kafka_bootstrap)
            await admin.start()
            try:
                await admin.delete_topics([spec.name for spec in specs])
            finally:
                await admin.close()
