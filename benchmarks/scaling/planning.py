"""Predicts the processes, machines, shards and partitions that a demand takes; pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.scaling.demand import DAY, GIB, Demand
from benchmarks.scaling.facts import COMMAND_SETS, VIEW_SETS, Facts
from benchmarks.scaling.model import CACHE_FILLED
from benchmarks.scaling.popularity import share_of_top
from benchmarks.scaling.sharded import RELAY_FACTOR, added
from benchmarks.scaling.steady import BATCHING, Conditions, Steady, enough_processes

OUTCOMES_DAYS = 7.0
OUTCOME_PAGES = 2.0
"""Pages of the index of outcomes that a command reads if they are not cached: to store an outcome, and to delete it."""
SHARDS_MAX = 1_000
PARTITIONS_STEP = 12


class Impossible(Exception):
    """No number of machines carries the demand. The message says why."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one part takes: processes (or machines of a server), cores that work, and machines."""

    part: str
    processes: int
    cores: float
    machines: int
    because: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a demand takes. `cached` is the share of the galleries that MongoDB's caches have room for."""

    demand: Demand
    steady: Mapping[str, Steady]
    needs: tuple[Need, ...]
    partitions: int
    shards: int
    cached: float
    disk_reads: float
    """Page reads a second of all primaries."""
    cores_per_command: float
    """Processor seconds of everything, for each command."""

    @property
    def machines(self) -> int:
        """All machines."""
        return sum(need.machines for need in self.needs)


@dataclass(frozen=True, slots=True)
class Caching:
    """How much of the data the caches of all primaries have room for."""

    galleries: float
    """The share of the galleries."""
    missed: float
    """The share of operations whose gallery is not cached."""
    outcomes_missed: float

    @classmethod
    def of(cls, facts: Facts, demand: Demand, shards: int) -> "Caching":
        """The caching of this number of primaries."""
        items = demand.items_per_gallery
        galleries = demand.galleries * facts.cached_bytes((*COMMAND_SETS, *VIEW_SETS), items)
        outcomes = demand.commands_per_second * OUTCOMES_DAYS * DAY * facts.sizes["processed_commands"].indexes
        share = min(1.0, shards * demand.cache_bytes * CACHE_FILLED / (galleries + outcomes))
        hit = share_of_top(demand.galleries, demand.zipf, share * demand.galleries)
        return cls(share, 0.0 if share == 1.0 else 1.0 - hit, 1.0 - share)


def make_plan(facts: Facts, demand: Demand) -> Plan:
    """What the demand takes. Raises Impossible."""
    partitions, shards = PARTITIONS_STEP, 1
    while True:
        tried = attempt(facts, demand, partitions, shards)
        if tried.shards <= shards and tried.partitions <= partitions:
            return tried.plan
        shards, partitions = max(shards, tried.shards), max(partitions, tried.partitions)
        if shards > SHARDS_MAX:
            raise Impossible(f"More than {SHARDS_MAX:,} shards are needed: give the machines more cores or memory.")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A plan with a given number of partitions and shards, and how many of both it would need."""

    plan: Plan
    partitions: int
    shards: int


def attempt(facts: Facts, demand: Demand, partitions: int, shards: int) -> Attempt:
    """The plan with this number of partitions and shards."""
    rate, model = demand.commands_per_second, facts.model
    caching = Caching.of(facts, demand, shards)
    reads = rate * (2 * facts.pages * caching.missed + OUTCOME_PAGES * caching.outcomes_missed)
    reads += demand.reads_per_second * facts.pages * caching.missed

    def enough(part: str, pages: float, listeners: float = 0.0) -> Steady:
        given = Conditions(
            partitions,
            demand.galleries,
            demand.items_per_gallery,
            demand.zipf,
            pages,
            listeners,
            added(part, shards),
        )
        return enough_processes(model, part, rate, demand.utilisation, given)

    steady = {
        # A page costs the same whoever reads it. It was measured of commands.
        "command": enough("command", reads / rate),
        "projector": enough("projector", 0.0),
    }
    if demand.listeners:
        steady["relay"] = enough("relay", 0.0, demand.listeners)
    http = _http(facts, demand)
    expired = rate * (facts.expiry_seconds["command"] + demand.listeners * facts.expiry_seconds["relay"])
    mongod = sum(each.cores["mongod"] for each in steady.values()) + http["mongod"] + expired
    if shards > 1 and "relay" in steady:
        mongod += (RELAY_FACTOR - 1) * steady["relay"].cores["mongod"]
    broker = sum(each.cores["broker"] for each in steady.values()) + http["broker"]
    by_cores, by_disk = mongod / demand.cores / shards, reads / demand.disk_reads_per_machine / shards
    lanes = (BATCHING[part].lanes * each.processes for part, each in steady.items())
    services = {part: (each.processes, each.cores[_PROCESS[part]]) for part, each in steady.items()}
    if http["gateway"]:
        services["gateway"] = (math.ceil(http["gateway"] / demand.utilisation), http["gateway"])
    needs = (
        *(_service(_NAMES[part], count, cores, demand) for part, (count, cores) in services.items()),
        _brokers(broker, demand),
        Need(
            "MongoDB",
            shards * demand.replication,
            mongod,
            shards * demand.replication,
            f"primaries: {shards}, for their {'disks' if by_disk > by_cores else 'cores'}",
        ),
    )
    total = sum(cores for _, cores in services.values()) + broker + mongod
    plan = Plan(demand, steady, needs, partitions, shards, caching.galleries, reads, total / rate)
    wanted = shards if max(by_cores, by_disk) <= 1 else shards + max(1, shards // 8)
    return Attempt(plan, PARTITIONS_STEP * math.ceil(max(lanes) / PARTITIONS_STEP), wanted)


_NAMES = {
    "command": "command services",
    "projector": "projectors",
    "relay": "webhook relays",
    "gateway": "gateways",
}
_PROCESS = {"command": "command", "projector": "projector", "relay": "webhooks"}


def _http(facts: Facts, demand: Demand) -> dict[str, float]:
    """The cores of writes and reads over HTTP, without those of the services behind the gateway."""
    found = {"gateway": 0.0, "broker": 0.0, "mongod": 0.0}
    for part, per_second in (("write", demand.writes_per_second), ("read", demand.reads_per_second)):
        for kind in found:
            found[kind] += per_second * facts.model.costs[part, kind].get("each", 0.0)
    return found


def _service(name: str, processes: int, cores: float, demand: Demand) -> Need:
    machines = math.ceil(processes / demand.cores_per_machine)
    return Need(name, processes, cores, machines, f"{cores / processes:.0%} of a core each at this rate")


def _brokers(cores: float, demand: Demand) -> Need:
    """Brokers. A replica is taken to cost as much as its leader, which is more than it does."""
    busy = cores * demand.replication
    by_cores = math.ceil(busy / demand.cores)
    brokers = max(demand.replication, by_cores)
    because = "cores" if by_cores >= demand.replication else "replicas"
    return Need("Kafka brokers", brokers, busy, brokers, f"as many as {because} need")


def memory_of_services(facts: Facts, demand: Demand) -> float:
    """GiB that the services on one machine use at most."""
    return demand.cores_per_machine * facts.process_bytes / GIB
