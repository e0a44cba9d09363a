"""Computes the batches of a process at a given rate, and what the rate costs then; pure.

A process handles one batch after another. While it works on a batch, the next one gathers. So a batch has as many
operations as arrive while a batch is handled, and handling takes at least the processor time of all processes that work
for it, one after another. Large batches are divided into lanes that overlap. A network between the processes makes
batches last longer, and therefore larger and cheaper for each operation.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.scaling.model import SERVICES, Model
from benchmarks.scaling.sharded import NOTHING, Added
from benchmarks.scaling.work import Work

_CLOSE = 1e-3


@dataclass(frozen=True, slots=True)
class Batching:
    """How a service forms batches: their largest size, the number of lanes, and from which size on it uses lanes."""

    largest: int
    lanes: int
    lanes_from: int


# From `triptych.command.app` and `triptych.command.settings`, and the same modules of the other services.
BATCHING: Mapping[str, Batching] = {
    "command": Batching(4_000, 3, 200),
    "projector": Batching(10_000, 2, 1_000),
    "relay": Batching(500, 1, 500),
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the processes of a part share: partitions, galleries, and what MongoDB has to read for an operation."""

    partitions: int
    galleries: int
    items: int
    zipf: float
    pages: float = 0.0
    listeners: float = 0.0
    added: Added = NOTHING
    """What a sharded cluster adds to mongod's work."""


@dataclass(frozen=True, slots=True)
class Steady:
    """Processes of a part at a rate: operations in a batch, and the cores used by kind of process."""

    part: str
    per_second: float
    processes: int
    batch: float
    cores: Mapping[str, float]
    given: Conditions

    @property
    def share_of_core(self) -> float:
        """The share of a core that each process of the service uses."""
        return self.cores[SERVICES[self.part]] / self.processes


def at_rate(model: Model, part: str, per_second: float, processes: int, given: Conditions) -> Steady:
    """The batches and cores of this number of processes that share `per_second` operations."""
    batching = BATCHING[part]

    def cores(batch: float) -> dict[str, float]:
        """The cores used with batches of this size, and with deliveries, which are sent meanwhile."""
        return model.predict(_work(part, per_second, batch, processes, given, 1.0, given.listeners))

    def gathered(batch: float) -> float:
        """The operations of one process that arrive while it handles a batch: more if its core has no time left."""
        seconds = (
            sum(model.predict(_work(part, per_second, batch, processes, given, 0.0, 0.0)).values()) * batch / per_second
        )
        arrived = (seconds + given.added.batch + given.added.each * batch) * per_second / processes
        return max(arrived, cores(batch)[SERVICES[part]] / processes * batch)

    batch = _balance(gathered, batching.lanes_from)
    if batch >= batching.lanes_from:
        batch = max(batching.lanes_from, _balance(lambda size: gathered(size) / batching.lanes, batching.largest))
    used = cores(batch)
    used["mongod"] += (given.added.batch / batch + given.added.each) * per_second
    return Steady(part, per_second, processes, batch, used, given)


def _work(
    part: str, operations: float, batch: float, processes: int, given: Conditions, seconds: float, listeners: float
) -> Work:
    """The work of this many operations in batches of this size."""
    return Work(
        part,
        operations,
        operations / batch,
        seconds,
        processes,
        given.partitions,
        given.galleries,
        given.items,
        given.zipf,
        pages=given.pages * operations,
        deliveries=listeners * operations,
    )


def _balance(gathered: Callable[[float], float], largest: float) -> float:
    """The size that a batch and what gathers meanwhile have in common, from 1 to `largest`, by halving."""
    if gathered(1.0) <= 1.0:
        return 1.0
    if gathered(largest) >= largest:
        return largest
    low, high = 1.0, largest
    while high > (1 + _CLOSE) * low:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if gathered(middle) > middle else (low, middle)
    return high


def enough_processes(model: Model, part: str, per_second: float, utilisation: float, given: Conditions) -> Steady:
    """The fewest processes that are enough. None does more than this share of what it can do with its largest batches.

    The share of the core that a process uses at the given rate says little: with smaller batches it does the same work
    less cheaply.
    """
    processes = 1
    while True:
        needed = math.ceil(per_second * largest_batch_seconds(model, part, processes, given) / utilisation)
        if needed <= processes:
            return at_rate(model, part, per_second, processes, given)
        processes = needed


def largest_batch_seconds(model: Model, part: str, processes: int, given: Conditions) -> float:
    """The time of its core that an operation takes a process if batches are as large as they become."""
    size = float(BATCHING[part].largest)
    work = _work(part, size * processes, size, processes, given, 0.0, given.listeners)
    return model.predict(work)[SERVICES[part]] / (size * processes)
