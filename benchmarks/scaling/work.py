"""Says how much of each term of the cost some work has: measured work and planned work alike; pure.

The terms count what causes cost: operations, batches, partitions and galleries of batches, lookups, time. The sizes of
caches are those of the services.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.scaling.points import WARM_UPS, Point
from benchmarks.scaling.popularity import distinct, share_of_top
from triptych.command.store.head_cache import HEADS_MAX
from triptych.contract.joined import HEAD_ITEMS_MAX
from triptych.projector.join.head_cache import BYTES_MAX, CACHED_ITEMS_MAX

VIEW_BYTES = 1_100
"""An item in the projector's cache: about 800 bytes of JSON, and the entry."""

TERMS: Mapping[str, str] = {
    "each": "an operation",
    "batch": "a batch",
    "partition": "a partition that a batch touches",
    "gallery": "a gallery that a batch touches",
    "lookup": "an operation in a batch that has to look heads and outcomes up",
    "head item": "an item in a head record that is published",
    "loaded gallery": "a gallery that is not in the projector's cache",
    "loaded item": "an item that is read for such a gallery",
    "delivery": "a delivery to a listener",
    "page": "a page that MongoDB reads into its cache",
    "process second": "a process that runs for a second",
    "partition second": "a partition that exists for a second",
}


@dataclass(frozen=True, slots=True)
class Work:
    """What processes of one part do in some time.

    `batches` are those of all processes together. `first_seen` is the share of the operations that are the first of
    their gallery since the processes have started: 0 for processes that have run for long.
    """

    part: str
    operations: float
    batches: float
    seconds: float
    processes: int
    partitions: int
    galleries: int
    items: int
    zipf: float = 0.0
    pages: float = 0.0
    deliveries: float = 0.0
    first_seen: float = 0.0

    def amounts(self) -> dict[str, float]:
        """How much of each term the work has."""
        amounts = {
            "each": self.operations,
            "batch": self.batches,
            "page": self.pages,
            "process second": self.processes * self.seconds,
            "partition second": self.partitions * self.seconds,
            "delivery": self.deliveries,
        }
        if self.batches and self.part in ("command", "projector"):
            size = self.operations / self.batches
            owned = self.partitions / self.processes
            amounts["partition"] = self.batches * min(size, distinct(max(1, round(owned)), 0.0, size))
            amounts["gallery"] = self.batches * self._distinct(size)
            amounts |= self._lookups(size) if self.part == "command" else self._join(size, amounts["gallery"])
        return amounts

    def _distinct(self, size: float, beyond: float = 0.0) -> float:
        """The galleries of a batch. Each process has its share of all galleries, and of the popular ones."""
        return distinct(self.galleries, self.zipf, size * self.processes, beyond) / self.processes

    def _lookups(self, size: float) -> dict[str, float]:
        # One gallery that is not cached makes the service look up all galleries of its batch.
        unknown = 1 - share_of_top(self.galleries, self.zipf, HEADS_MAX * self.processes)
        unknown = min(1.0, max(unknown, self.first_seen))
        return {"lookup": self.operations * (1 - (1 - unknown) ** size)}

    def _join(self, size: float, galleries: float) -> dict[str, float]:
        cached = BYTES_MAX / (VIEW_BYTES * max(1, min(self.items, CACHED_ITEMS_MAX))) * self.processes
        loaded = max(self.batches * self._distinct(size, cached), self.operations * self.first_seen)
        return {
            "head item": galleries * min(self.items, HEAD_ITEMS_MAX),
            "loaded gallery": loaded,
            "loaded item": loaded * min(self.items, CACHED_ITEMS_MAX),
        }


def work_of(point: Point) -> Work:
    """The work of a measured point, with the batches and pages that were counted."""
    conditions, figures = point.conditions, point.figures
    work = Work(
        conditions.part,
        conditions.operations,
        figures.get("batches", 0.0) if conditions.operations else 0.0,
        figures["seconds"],
        conditions.processes,
        conditions.partitions,
        conditions.galleries,
        conditions.items,
        conditions.zipf,
        figures["pages_read"],
        conditions.operations * conditions.listeners,
    )
    if not conditions.operations:
        return work
    warm = conditions.warm_up * WARM_UPS
    seen = distinct(work.galleries, work.zipf, warm)
    new = distinct(work.galleries, work.zipf, warm + conditions.operations) - seen
    return replace(work, first_seen=new / conditions.operations)
