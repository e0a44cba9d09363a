"""Defines what an installation has to carry, and the machines that it may use."""

from dataclasses import dataclass

from benchmarks.scaling.popularity import hottest_share

GIB = 2**30
DAY = 86_400
SYSTEM_BYTES = 1 * GIB
"""What MongoDB leaves to the system before it takes half of the rest for its cache (its default)."""


@dataclass(frozen=True, slots=True)
class Demand:
    """The load of an installation, and its machines. `python -m benchmarks plan --help` describes each field."""

    galleries: int
    commands_per_second: float
    items_per_gallery: int = 20
    zipf: float = 0.0
    listeners: float = 1.0
    http_share: float = 0.1
    reads_per_second: float = 0.0
    cores_per_machine: int = 16
    memory_per_machine: float = 64.0
    disk_reads_per_machine: float = 20_000.0
    utilisation: float = 0.5
    replication: int = 3
    events_days: float = 30.0

    @property
    def cores(self) -> float:
        """The cores of a machine that the plan may use."""
        return self.cores_per_machine * self.utilisation

    @property
    def cache_bytes(self) -> float:
        """MongoDB's cache on a machine of its own."""
        return max(0.0, self.memory_per_machine * GIB - SYSTEM_BYTES) / 2

    @property
    def writes_per_second(self) -> float:
        """Commands that come over HTTP."""
        return self.http_share * self.commands_per_second

    @property
    def hottest_share(self) -> float:
        """The share of the most popular gallery in all commands."""
        return hottest_share(self.galleries, self.zipf)
