"""Derives from the measured points what a plan needs: the model, bytes in cache, on disk and on the network; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchmarks.scaling.model import Model, fit_model, pages_uncached
from benchmarks.scaling.points import Measured, Point, Size

COMMAND_SETS = ("galleries", "items")
VIEW_SETS = ("gallery_views", "item_views")


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured, as a plan uses it. Bytes are means of an operation or of a document."""

    model: Model
    sizes: dict[str, Size]
    pages: float
    """Pages that a command reads if nothing is cached. The views of its event are taken to need as many, and so is a
    page of items that is read over HTTP."""
    expiry_seconds: dict[str, float]
    """Processor seconds of mongod to delete, later, what a command or a delivery (`relay`) has stored for a time."""
    topic_bytes: dict[str, float]
    """Bytes of a command, and of the records that it causes, by topic; compressed, each by itself."""
    mongod_network: dict[str, float]
    """Bytes between MongoDB and the services of an operation, by part."""
    process_bytes: float
    """The most memory that a process of a service has used."""

    def cached_bytes(self, collections: Iterable[str], items: float) -> float:
        """The bytes in MongoDB's cache of one gallery with its items: documents and indexes."""
        total = 0.0
        for name in collections:
            size = self.sizes[name]
            total += (size.bytes + size.indexes) * (items if name.startswith("item") else 1.0)
        return total

    def stored_bytes(self, collections: Iterable[str], items: float) -> float:
        """The bytes on one disk of one gallery with its items: compressed documents and indexes."""
        total = 0.0
        for name in collections:
            size = self.sizes[name]
            total += (size.stored + size.indexes) * (items if name.startswith("item") else 1.0)
        return total


def facts_of(measured: Measured) -> Facts:
    """The facts of these points. Raises ValueError or KeyError if points or sizes are missing."""
    points = measured.points
    of = {part: measured.of(part) for part in ("command", "projector", "relay")}
    facts = Facts(
        model=fit_model(points),
        sizes=measured.sizes,
        pages=0.0,
        expiry_seconds={part: _mean(of[part], "cpu_expiry", "expired") for part in ("command", "relay")},
        topic_bytes={
            "commands": _of_singles(of["command"], "topic_bytes_commands"),
            "events": _of_singles(of["command"], "topic_bytes_events"),
            "replies": _of_singles(of["command"], "topic_bytes_replies"),
            "galleries": _of_singles(of["projector"], "topic_bytes_galleries"),
        },
        mongod_network={part: _of_backlogs(own, "mongod_network_bytes") for part, own in of.items()},
        process_bytes=max(point.figures["peak_rss_mib"] for point in points) * 2**20,
    )
    # The points beyond the cache have one item in each gallery.
    return replace(facts, pages=pages_uncached(points, "command", facts.cached_bytes(COMMAND_SETS, 1)))


def _mean(points: Iterable[Point], figure: str, count: str) -> float:
    chosen = [point for point in points if point.figures.get(count)]
    return sum(point.figures[figure] for point in chosen) / sum(point.figures[count] for point in chosen)


def _of_singles(points: Iterable[Point], figure: str) -> float:
    """The mean of an operation at the lowest rate, at which most records are compressed alone.

    The items of a point have the same texts, which compress far better in large batches than real texts would.
    """
    point = min(
        (point for point in points if point.conditions.per_second), key=lambda point: point.conditions.per_second
    )
    return point.figures.get(figure, 0.0) / point.conditions.operations


def _of_backlogs(points: Iterable[Point], figure: str) -> float:
    """The mean of an operation, over the points with large batches."""
    chosen = [point for point in points if point.conditions.operations and not point.conditions.per_second]
    total = sum(point.figures.get(figure, 0.0) for point in chosen)
    return total / sum(point.conditions.operations for point in chosen)
