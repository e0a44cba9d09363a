"""Runs `triptych cluster` as a user does, and kills parts of it by their roles."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import MongoClient

from tests.support.installation import PARTITIONS, Installation
from tests.support.plain_http import NO_TLS
from tests.support.relay import ALL_TYPES
from tests.support.servers import standing_still
from tests.support.waiting import eventually
from triptych.devstack.addresses import Addresses, Provider
from triptych.devstack.children import Child, start_child
from triptych.gateway.api.examples import DEV_KEY
from triptych.kit.mongo.driver import open_database

CLI = [sys.executable, "-m", "triptych.cli"]
KINDS = ("command", "projector", "webhooks", "gateway")
READY = "The state, as it changes"
START_SECONDS = 150.0
STOP_SECONDS = 60.0


class LocalCluster:
    """A cluster that runs, as the files in its folder describe it."""

    def __init__(self, child: Child, folder: Path) -> None:
        self.child = child
        self.folder = folder

    def output(self) -> str:
        """What the command has printed."""
        return self.folder.joinpath("output.txt").read_text()

    def parts(self) -> dict[str, dict[str, Any]]:
        """The processes that run, by name: `pid`, `port` and `log`."""
        found: dict[str, dict[str, Any]] = json.loads(self._file("cluster/parts.json"))
        return found

    def pids(self) -> set[int]:
        """The processes of all parts that run."""
        return {part["pid"] for part in self.parts().values()}

    @property
    def addresses(self) -> Addresses:
        """Where the servers listen."""
        note = json.loads(self._file("installation.json"))
        return Addresses(note["kafka_bootstrap"], note["mongo_uri"], Provider.PROCESSES)

    def gateways(self) -> list[str]:
        """The addresses of the gateways that run."""
        return [f"http://127.0.0.1:{part['port']}" for name, part in self.parts().items() if "gateway" in name]

    def kill(self, names: Sequence[str]) -> None:
        """Kill these parts at the same moment."""
        self._send(signal.SIGKILL, names)

    async def stop(self, name: str) -> None:
        """Stop a part in order, and wait until it has ended. The cluster starts it again."""
        pid = self.parts()[name]["pid"]
        self._send(signal.SIGTERM, [name])

        async def has_ended() -> bool:
            part = self.parts().get(name)
            return part is None or part["pid"] != pid

        await eventually(has_ended, f"{name} has ended", deadline_seconds=STOP_SECONDS)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Freeze a part during the block: the others see a network that is gone."""
        with standing_still([self.parts()[name]["pid"]]):
            yield

    async def step_down(self) -> None:
        """Tell the primary of the replica set to be none for a minute; the others elect another one."""
        port = self.parts()[self.primary()]["port"]
        with MongoClient[dict[str, Any]]("127.0.0.1", port, directConnection=True) as client:
            await asyncio.to_thread(client.admin.command, "replSetStepDown", 60)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line in the folder of the cluster."""
        return subprocess.run(
            [*CLI, *words], env=environ(), cwd=self.folder, capture_output=True, text=True, check=False, timeout=120
        )

    def last_line(self) -> str:
        """The state that was printed last."""
        lines = [line for line in self.output().splitlines() if line.startswith("kafka ")]
        return lines[-1] if lines else ""

    async def until_whole(self, deadline_seconds: float) -> None:
        """Wait until the status line says that every part serves, and nothing is left to do."""

        async def is_whole() -> bool:
            assert self.child.poll() is None, self.output()
            return re.fullmatch(WHOLE, self.last_line()) is not None

        await eventually(is_whole, f"all parts serve: {WHOLE}", deadline_seconds=deadline_seconds)

    async def until_brokers_are_whole(self, deadline_seconds: float) -> None:
        """Wait until every broker serves and every partition has all replicas; commands may wait meanwhile."""
        started = len(self.output())

        async def are_whole() -> bool:
            lines = [line for line in self.output()[started:].splitlines() if line.startswith("kafka ")]
            return bool(lines) and lines[-1].startswith("kafka 3/3 |")

        await eventually(are_whole, "all brokers serve", deadline_seconds=deadline_seconds)

    def controller(self) -> str:
        """The node whose controller is active: the last one that says so in its log."""
        became = [
            (line[:23], name)
            for name, part in self.parts().items()
            if name.startswith("kafka")
            for line in Path(part["log"]).read_text(errors="replace").splitlines()
            if "Becoming the active controller" in line
        ]
        return max(became)[1]

    async def leaders(self, topic: str) -> list[str]:
        """The nodes that lead the partitions of a topic, those with most partitions first."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.addresses.kafka_bootstrap)
        await admin.start()
        try:
            (described,) = await admin.describe_topics([topic])
        finally:
            await admin.close()
        led = [partition["leader"] for partition in described["partitions"]]
        return [f"kafka-{node}" for node in sorted(set(led), key=lambda node: -led.count(node))]

    async def coordinator(self, group: str) -> str:
        """The node that coordinates a consumer group."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.addresses.kafka_bootstrap)
        await admin.start()
        try:
            return f"kafka-{await admin.find_coordinator(group)}"
        finally:
            await admin.close()

    def primary(self) -> str:
        """The primary of the replica set, as the status line names it."""
        (name,) = re.findall(r"primary (mongo-\d)", self.last_line())
        return str(name)

    def _send(self, number: signal.Signals, names: Sequence[str]) -> None:
        for pid in [self.parts()[name]["pid"] for name in names]:
            os.kill(pid, number)

    def _file(self, name: str) -> str:
        return self.folder.joinpath(".triptych", name).read_text()


WHOLE = (
    r"kafka 3/3 \| mongo 3/3, primary mongo-\d \| command 2/2 \| projector 2/2 \| webhooks 2/2 \| gateway 2/2 "
    r"\| lag 0 \| outbox 0"
)


def environ(**fields: object) -> dict[str, str]:
    """The environment of this process without settings of Triptych, but with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIPTYCH_")}
    return {**kept, **{f"TRIPTYCH_{name.upper()}": str(value) for name, value in fields.items()}}


@contextmanager
def local_cluster(folder: Path, *, restart_after: float) -> Iterator[LocalCluster]:
    """Run a cluster in this folder, ready; whatever happens, none of its processes is left after the block."""
    child = start_child(
        [*CLI, "cluster", "--restart-after", str(restart_after)],
        env=environ(topic_partitions=PARTITIONS),
        log=folder / "output.txt",
        cwd=folder,
    )
    cluster = LocalCluster(child, folder)
    try:
        child.wait_until(lambda: READY in cluster.output(), what="The cluster", timeout=START_SECONDS)
        yield cluster
    finally:
        child.stop(STOP_SECONDS)


@asynccontextmanager
async def installation_of(cluster: LocalCluster) -> AsyncIterator[Installation]:
    """The installation that runs on the cluster."""
    async with open_database(cluster.addresses.mongo_uri, "triptych") as database:
        yield Installation(cluster.addresses, "triptych", database)


async def subscribe(cluster: LocalCluster, url: str) -> str:
    """Create a listener to all events through a gateway; its id."""
    sent = {"url": url, "eventTypes": ALL_TYPES, "retryDelays": [0.1, 0.5, 1, 1, 1]}
    async with httpx.AsyncClient(timeout=30, verify=NO_TLS, headers={"Authorization": DEV_KEY}) as client:
        answer = await client.post(f"{cluster.gateways()[0]}/v1/listeners", json={"listener": sent})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["listener"]["id"])
