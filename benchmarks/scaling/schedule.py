"""Lists the points to measure: processes, partitions, galleries, popularity, rate and cache, each varied from a base.

Not all combinations are measured: one point for each way in which a condition matters, some with two changes at once to
test the model, and idle processes. All of them take about 20 minutes on two cores, without storing the galleries.
"""

from typing import Any

from benchmarks.scaling.points import Conditions

SMALL_CACHE_MIB = 256
"""Less than a quarter of the write model of a million galleries, or of their views."""


def _command(operations: int = 12_000, **changed: Any) -> Conditions:
    return Conditions("command", operations, **changed)


def _projector(operations: int = 24_000, **changed: Any) -> Conditions:
    return Conditions("projector", operations, **changed)


_MILLION: dict[str, Any] = {"galleries": 1_000_000, "items": 1}
_OUT = {**_MILLION, "cache_mib": SMALL_CACHE_MIB}

COMMAND = (
    _command(),
    _command(processes=2),
    _command(processes=4),
    _command(partitions=24),
    _command(partitions=48),
    _command(partitions=96),
    _command(processes=4, partitions=96),
    _command(galleries=10_000),
    _command(galleries=100_000, items=4),
    _command(**_MILLION),
    _command(**_MILLION, zipf=1.0),
    _command(3_000, galleries=1),
    _command(6_000, **_OUT),
    _command(160, per_second=20),
    _command(800, per_second=100),
    _command(3_200, per_second=400),
    _command(0),
    _command(0, partitions=96),
    _command(0, processes=4, partitions=96),
)

PROJECTOR = (
    _projector(),
    _projector(processes=2),
    _projector(processes=4),
    _projector(partitions=24),
    _projector(partitions=48),
    _projector(partitions=96),
    _projector(processes=4, partitions=96),
    _projector(10_000, galleries=10_000),
    _projector(galleries=100_000, items=4),
    _projector(**_MILLION),
    _projector(**_MILLION, zipf=1.0),
    _projector(6_000, **_OUT),
    _projector(6_000, galleries=1),
    _projector(800, per_second=100),
    _projector(3_200, per_second=400),
    _projector(0),
    _projector(0, processes=4, partitions=96),
)

RELAY = (
    Conditions("relay", 8_000),
    Conditions("relay", 4_000, listeners=1),
    Conditions("relay", 1_500, listeners=4),
    Conditions("relay", 1_500, listeners=4, processes=2),
    Conditions("relay", 1_500, listeners=4, processes=4),
    Conditions("relay", 8_000, partitions=96),
    Conditions("relay", 800, listeners=1, per_second=100),
    Conditions("relay", 0, listeners=1),
)

HTTP = (
    Conditions("write", 600, galleries=50, items=0, in_flight=8),
    Conditions("write", 1_200, galleries=50, items=0, in_flight=32),
    Conditions("write", 1_600, galleries=50, items=0, in_flight=128),
    Conditions("write", 1_600, galleries=50, items=0, in_flight=128, processes=2),
    Conditions("write", 1_600, galleries=50, items=0, in_flight=128, processes=4),
    Conditions("read", 4_000, in_flight=16),
    Conditions("read", 4_000, in_flight=16, processes=2),
    Conditions("read", 4_000, in_flight=16, processes=4),
    Conditions("read", 4_000, in_flight=16, galleries=10_000),
    Conditions("read", 4_000, in_flight=16, **_MILLION, zipf=1.0),
    Conditions("read", 2_000, in_flight=16, **_OUT),
)

ALL = (*COMMAND, *PROJECTOR, *RELAY, *HTTP)


def by_cache(points: tuple[Conditions, ...] | list[Conditions] = ALL) -> list[Conditions]:
    """In an order in which MongoDB's cache is rarely cold: by its size, and then by what is stored."""
    return sorted(points, key=lambda each: (-each.cache_mib, each.galleries, each.part))
