"""One simulated run: servers, processes, commands and faults, all from one seed; and what was observed."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.support.chaos.history import Violation
from tests.support.command_mix import Sent
from tests.support.simulation import relay, services
from tests.support.simulation.kafka.broker import Broker
from tests.support.simulation.loop import OUTSIDE, Process, SimulatedLoop
from tests.support.simulation.mongo.client import Client
from tests.support.simulation.mongo.server import Server
from tests.support.simulation.network import Network
from triptych.kit.kafka.partitions import partition_of
from triptych.readmodel.documents import GALLERY_VIEWS
from triptych.writemodel.galleries import GALLERIES

Service = Callable[[Server, Broker], Awaitable[None]]
RELAYED, WITH_JOBS, WITH_HISTORY, REBUILT, GROWN = 0.3, 0.6, 0.25, 0.2, 0.2
"""The fractions of seeds with relays, with long work in steps, with the history, with a rebuild, and with partitions
that are added. A seed may have several, but not both of the last two."""


@dataclass(frozen=True)
class Wanted:
    """What a run has to have, whatever its seed says: some of `World.parts`, and kinds of faults if any are named."""

    parts: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = ()


def is_fenced(collection: str) -> bool:
    """Whether only the owner of a gallery's partition may write the gallery's document in this collection."""
    return collection in (GALLERIES, GALLERY_VIEWS) or collection.startswith(f"{GALLERY_VIEWS}_")


class World:
    """See the module."""

    def __init__(self, seed: int, loop: SimulatedLoop, wanted: Wanted = Wanted()) -> None:
        self.seed = seed
        self.wanted = wanted
        self.loop = loop
        self.chance = random.Random(f"world {seed}")
        self.kafka_network = Network(random.Random(f"kafka network {seed}"))
        self.mongo_network = Network(random.Random(f"mongo network {seed}"))
        self.server = Server(loop, random.Random(f"mongo {seed}"), self.mongo_network)
        self.broker = Broker(loop, random.Random(f"kafka {seed}"), self.kafka_network)
        self.sent: list[Sent] = []
        self.records: dict[str, list[Any]] = {}
        """What was appended to each topic, expired records included."""
        self.violations: list[Violation] = []
        self.log: list[str] = []
        """Faults and what followed, for people."""
        self.running: dict[str, Process] = {}
        self.trace = hashlib.sha256()
        self._owners: dict[tuple[str, int], Process | None] = {}
        self.receivers = relay.Receivers(loop, random.Random(f"receivers {seed}"))
        parts = wanted.parts
        self.has_relays = self.chance.random() < RELAYED or "relays" in parts
        self.operations: dict[str, Service] = {}
        """Commands of an operator that have been begun and not yet ended, by the host on which they run."""
        drawn = self.chance.random()
        self.is_rebuilt = (drawn < REBUILT and "growth" not in parts) or "rebuild" in parts
        self.shape = services.Shape(
            has_jobs=self.chance.random() < WITH_JOBS or "jobs" in parts,
            has_history=self.chance.random() < WITH_HISTORY or "history" in parts,
            grows=(drawn >= 1 - GROWN and "rebuild" not in parts) or "growth" in parts,
        )
        command = partial(services.run_command, shape=self.shape)
        projector = partial(services.run_projector, shape=self.shape)
        self.hosts: dict[str, Service] = {
            "command-1": command,
            "command-2": command,
            "projector-1": projector,
            "projector-2": projector,
        }
        if self.has_relays:
            self.hosts |= {"webhooks-1": self._run_relay, "webhooks-2": self._run_relay}
        self.broker.appended.append(self._on_record)
        self.server.storage.committed.append(self._on_commit)
        services.create_topics(self.broker)
        services.create_indexes(self.server)

    @property
    def parts(self) -> list[str]:
        """The parts that run besides command services and projectors."""
        shape = self.shape
        present = {
            "relays": self.has_relays,
            "jobs": shape.has_jobs,
            "history": shape.has_history,
            "rebuild": self.is_rebuilt,
            "growth": shape.grows,
        }
        return [name for name, is_present in present.items() if is_present]

    def note(self, text: str) -> None:
        """Write a line about the run."""
        self.log.append(f"{self.loop.time() - 1000:9.3f} {text}")
        self._trace(text)

    def start(self) -> None:
        """Start a process on each host."""
        for name in self.hosts:
            self.start_process(name)

    def start_process(self, host: str) -> None:
        """Start a process on a host."""
        process = Process(self.loop, f"{host}@{self.loop.time() - 1000:.3f}")
        self.running[host] = process
        self.loop.create_task(self._run(host, process), context=process.context)

    def start_operation(self, host: str, operation: Service) -> None:
        """Carry out a command of an operator, as often as it takes."""
        self.note(f"{host} begins")
        self.operations[host] = operation
        self.start_process(host)

    async def _run_relay(self, server: Server, broker: Broker) -> None:
        async with services.layout_watch(Client(server).database(), self.shape) as watch:
            await relay.run_relay(server, broker, services.TOPICS, self.receivers, watch)

    async def _run(self, host: str, process: Process) -> None:
        operation = self.operations.get(host)
        try:
            await (operation or self.hosts[host])(self.server, self.broker)
            end = "ended"
            if operation is not None and not process.is_dead:
                del self.operations[host]
        except asyncio.CancelledError:
            end = "was stopped"
        except Exception as error:  # noqa: BLE001 - a process that fails is started again
            end = f"failed: {error!r}"
        if not process.is_dead:
            self.note(f"{process.name} {end}")
            process.is_dead = True
            if host in self.hosts or host in self.operations:
                self.loop.call_later(0.5, self.start_process, host, context=OUTSIDE)
            else:
                del self.running[host]

    def kill(self, process: Process, seconds: float) -> None:
        """Kill a process, and start another one on its host later."""
        if not process.is_dead:
            self.note(f"{process.name} is killed")
            process.kill()
            self.loop.call_later(seconds, self.start_process, process.name.partition("@")[0], context=OUTSIDE)

    def send(self, batch: list[Sent]) -> None:
        """Append commands to their topic."""
        for one in batch:
            key = one.gallery_id.encode()
            partitions = len(self.broker.topics[services.TOPICS.commands])
            partition = partition_of(key, partitions)
            if self.chance.random() < 0.03:
                partition = self.chance.randrange(partitions)
            self.broker.append(services.TOPICS.commands, partition, [(key, one.value, one.headers)])
            self.sent.append(one)

    def _on_record(self, record: Any) -> None:
        self.records.setdefault(record.topic, []).append(record)
        self._trace(f"{record.topic} {record.partition} {record.offset} {record.key!r} {record.value!r}")

    def _on_commit(self, process: Process | None, written: Mapping[tuple[str, Hashable], Any]) -> None:
        self._trace(f"{process and process.name} {sorted((name, repr(key)) for name, key in written)}")
        for (name, key), document in written.items():
            if document is None or not is_fenced(name):
                continue
            if isinstance(document["_id"], Mapping):
                if document.get("writes") == 0:
                    self._owners[name, document["_id"]["partition"]] = process
                continue
            # What came before partitions were added is carried out by the owner of the former partition.
            counts = {services.PARTITIONS, len(self.broker.topics[services.TOPICS.commands])}
            partitions = sorted({partition_of(str(key).encode(), count) for count in counts})
            owners = [self._owners.get((name, partition)) for partition in partitions]
            if process not in owners:
                what = (
                    f"{process and process.name} writes {name} of partition {partitions}, "
                    f"which {[owner and owner.name for owner in owners]} have claimed:"
                )
                self.violations.append(Violation("fencing", what, str(key), document.get("sequence")))

    def _trace(self, text: str) -> None:
        self.trace.update(f"{self.loop.time()!r} {text}\n".encode())
