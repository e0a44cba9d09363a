"""Fits the terms of the cost of each part to the measured points, predicts with them, and computes the errors; pure.

All costs are processor seconds of this machine's cores. On two cores every rate is bound by processor time, so rates
say little about larger machines, and processor seconds say much.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.scaling.fitting import Row, fit
from benchmarks.scaling.points import PARTS, Measured, Point
from benchmarks.scaling.popularity import share_of_top
from benchmarks.scaling.work import Work, work_of

SERVICES: Mapping[str, str] = {
    "command": "command",
    "projector": "projector",
    "relay": "webhooks",
    "write": "gateway",
    "read": "gateway",
}
"""The process whose cost a part has besides those of broker and mongod."""

_TIME = ("process second", "partition second")
TERMS_OF: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("command", "command"): ("each", "batch", "partition", "gallery", "lookup", *_TIME),
    ("command", "broker"): ("each", "batch", "partition", *_TIME),
    ("command", "mongod"): ("each", "batch", "partition", "gallery", "lookup", "page", *_TIME),
    # Without the partitions of a batch: their cost cannot be told from that of the batch. With both, the model is worse
    # for batches of a size between those of the points, which writes over HTTP make.
    ("projector", "projector"): ("each", "batch", "gallery", "head item", "loaded gallery", "loaded item", *_TIME),
    ("projector", "broker"): ("each", "batch", "partition", "gallery", "head item", *_TIME),
    ("projector", "mongod"): ("each", "batch", "gallery", "loaded gallery", "loaded item", "page", *_TIME),
    ("relay", "webhooks"): ("each", "batch", "delivery", *_TIME),
    ("relay", "broker"): ("each", "batch", *_TIME),
    ("relay", "mongod"): ("each", "batch", "delivery", *_TIME),
    ("write", "gateway"): ("each",),
    ("write", "broker"): ("each",),
    ("write", "mongod"): ("each",),
    ("read", "gateway"): ("each",),
    ("read", "broker"): (),
    ("read", "mongod"): ("each", "page"),
}
"""The terms that a part may cost a kind of process. The fit leaves out those that cannot be told from 0."""

CACHE_FILLED = 0.8
"""MongoDB evicts pages when its cache is filled to this share (eviction_target of WiredTiger)."""

Costs = Mapping[tuple[str, str], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Error:
    """A point in processor seconds: measured, as the model has it, and as a model without this point would have it."""

    point: Point
    measured: float
    model: float
    without: float


@dataclass(frozen=True, slots=True)
class Model:
    """What one of each term costs, in processor seconds, by part and kind of process."""

    costs: Costs

    def predict(self, work: Work) -> dict[str, float]:
        """The processor seconds of the work by kind of process."""
        amounts = work.amounts()
        return {
            kind: sum(cost * amounts.get(term, 0.0) for term, cost in costs.items())
            for (part, kind), costs in self.costs.items()
            if part == work.part
        }

    def predict_point(self, point: Point) -> dict[str, float]:
        """The processor seconds of a measured point; of a write, those of the services behind the gateway too."""
        total = self.predict(work_of(point))
        for work in _behind(point):
            for kind, seconds in self.predict(work).items():
                total[kind] = total.get(kind, 0.0) + seconds
        return total


def fit_model(points: Iterable[Point]) -> Model:
    """The model of these points. Raises ValueError if a part has none."""
    points = list(points)
    model = Model({})
    # In this order, because the cost of a write is what the command service and the projector do not explain.
    for part in PARTS:
        model = Model({**model.costs, **_fit_part(part, points, model)})
    return model


def errors(measured: Measured, model: Model) -> list[Error]:
    """How far the model is from each point, and how far it would be if the point had not been measured."""
    found = []
    for point in measured.points:
        part = point.conditions.part
        others = [other for other in measured.points if other is not point]
        without = Model({**model.costs, **_fit_part(part, others, model)})
        total = sum(value for name, value in point.figures.items() if name.startswith("cpu_") and name != "cpu_expiry")
        found.append(
            Error(point, total, sum(model.predict_point(point).values()), sum(without.predict_point(point).values()))
        )
    return found


def _fit_part(part: str, points: Sequence[Point], known: Model) -> dict[tuple[str, str], Mapping[str, float]]:
    own = [point for point in points if point.conditions.part == part]
    costs: dict[tuple[str, str], Mapping[str, float]] = {}
    for (of_part, kind), terms in TERMS_OF.items():
        if of_part == part:
            rows = [Row(work_of(point).amounts(), _unexplained(point, kind, known)) for point in own]
            unexplained = [row for row in rows if row.cost > 0]
            # If the services behind a gateway explain everything, the gateway causes nothing more.
            costs[part, kind] = fit(unexplained, terms) if unexplained or not own else dict.fromkeys(terms, 0.0)
    return costs


def _unexplained(point: Point, kind: str, known: Model) -> float:
    """The processor seconds of a kind of process that the services behind a gateway do not explain."""
    explained = sum(known.predict(work).get(kind, 0.0) for work in _behind(point))
    return point.figures.get(f"cpu_{kind}", 0.0) - explained


def _behind(point: Point) -> list[Work]:
    """The work of the services behind the gateway in a point of writes."""
    if point.conditions.part != "write":
        return []
    return [
        replace(work_of(point), part=part, batches=point.figures[f"batches_{part}"], processes=1, first_seen=0.0)
        for part in ("command", "projector")
    ]


def pages_uncached(points: Iterable[Point], part: str, set_bytes: float) -> float:
    """The pages that an operation would make MongoDB read if nothing were cached.

    From the points with a cache smaller than what they use, which has `set_bytes` for each gallery.
    """
    pages = operations = 0.0
    for point in points:
        conditions = point.conditions
        cached = CACHE_FILLED * conditions.cache_mib * 2**20 / set_bytes
        if conditions.part == part and conditions.operations and cached < conditions.galleries:
            pages += point.figures["pages_read"]
            operations += conditions.operations * (1 - share_of_top(conditions.galleries, conditions.zipf, cached))
    return pages / operations if operations else 0.0
