"""Defines a measured point: the conditions, the figures, and the file that has all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson

FILE = Path(__file__).parent / "points.json"
PARTS = ("command", "projector", "relay", "write", "read")
WARM_UP, WARM_UPS = 700, 3
"""Operations before those that a point counts, and how often they come; more if there are more than 12 partitions.

Kafka makes two index files when a partition has more than 4 KiB, which takes the broker about 40 ms. A point must not
count that.
"""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a point measures. The defaults are the conditions that most points share.

    `part` is one of `PARTS`: a service that works from a topic, or a write or read over HTTP.
    """

    part: str
    operations: int
    """Commands, events, writes or reads; 0 measures processes that have nothing to do."""
    processes: int = 1
    partitions: int = 12
    galleries: int = 1_000
    items: int = 20
    """Items of each gallery before the point."""
    zipf: float = 0.0
    """The exponent of the galleries' popularity: 0 chooses all equally, 1 the second one half as often as the first."""
    per_second: int = 0
    """The rate of the operations; 0 publishes all of them at once."""
    in_flight: int = 0
    """Requests over HTTP that wait for their responses at the same time."""
    listeners: int = 0
    """Listeners that want each event."""
    cache_mib: int = 4_096
    """MongoDB's cache."""

    @property
    def warm_up(self) -> int:
        """Operations of each round before those that the point counts."""
        return WARM_UP * max(1, self.partitions // 24)

    @property
    def name(self) -> str:
        """The part and every condition that is not the default, for people."""
        differing = [
            f"{each.name} {getattr(self, each.name):,}"
            for each in fields(self)
            if each.name not in ("part", "operations") and getattr(self, each.name) != each.default
        ]
        return ", ".join([self.part, *differing, *([] if self.operations else ["idle"])])


@dataclass(frozen=True, slots=True)
class Point:
    """The figures of one measurement, by name (`benchmarks.scaling.stage.Reading`), and its time (ISO 8601, UTC)."""

    conditions: Conditions
    date: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Size:
    """The space that the documents of a collection took, in bytes for each document.

    `bytes` are uncompressed, as in the cache; `stored` compressed, as on disk; `indexes` in both.
    """

    documents: int
    bytes: float
    stored: float
    indexes: float

    def for_each(self, count: int) -> "Size":
        """The space of these documents for each of `count` others, such as commands: a row of the outbox has many."""
        share = self.documents / count
        return Size(count, share * self.bytes, share * self.stored, share * self.indexes)


@dataclass
class Measured:
    """All points of one machine, the sizes of documents by collection, and the circumstances of the measurement."""

    circumstances: dict[str, Any] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    sizes: dict[str, Size] = field(default_factory=dict)

    def missing(self, planned: Iterable[Conditions]) -> list[Conditions]:
        """The planned conditions that have no point yet."""
        present = {point.conditions for point in self.points}
        return [conditions for conditions in planned if conditions not in present]

    def of(self, part: str) -> Sequence[Point]:
        """The points of one part."""
        return [point for point in self.points if point.conditions.part == part]

    def keep_size(self, collection: str, size: Size) -> None:
        """Keep the size of a collection, unless a size from more documents is known: it is the more exact one."""
        known = self.sizes.get(collection)
        if known is None or size.documents >= known.documents:
            self.sizes[collection] = size


def load(path: Path = FILE) -> Measured:
    """The points of a file; none if there is no file."""
    if not path.exists():
        return Measured()
    document = orjson.loads(path.read_bytes())
    return Measured(
        document["circumstances"],
        [Point(Conditions(**each["conditions"]), each["date"], each["figures"]) for each in document["points"]],
        {name: Size(**size) for name, size in document["sizes"].items()},
    )


def save(measured: Measured, path: Path = FILE) -> None:
    """Replace the file atomically."""
    document = {
        "circumstances": measured.circumstances,
        "sizes": {name: asdict(size) for name, size in sorted(measured.sizes.items())},
        "points": [
            {"conditions": asdict(point.conditions), "date": point.date, "figures": dict(point.figures)}
            for point in sorted(measured.points, key=lambda point: PARTS.index(point.conditions.part))
        ],
    }
    written = path.with_suffix(".tmp")
    written.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    written.replace(path)
