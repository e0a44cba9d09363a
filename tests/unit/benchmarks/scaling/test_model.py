"""The model finds the costs that points were made of, and its errors are those of points that it does not fit."""

from dataclasses import replace

import pytest

from benchmarks.scaling.model import TERMS_OF, Model, errors, fit_model, pages_uncached
from benchmarks.scaling.points import PARTS, Conditions, Measured, Point
from benchmarks.scaling.work import work_of

COSTS = {key: {term: 1e-4 * (1 + number) for number, term in enumerate(terms)} for key, terms in TERMS_OF.items()}
TRUE = Model(COSTS)


def made(conditions: Conditions, batches: float, pages: float = 0.0) -> Point:
    """A point that costs what the true model says."""
    figures = {
        "seconds": 4.0,
        "batches": batches,
        "pages_read": pages,
        "batches_command": 40.0,
        "batches_projector": 50.0,
    }
    point = Point(conditions, "", figures)
    costs = {f"cpu_{kind}": seconds for kind, seconds in TRUE.predict_point(point).items()}
    return replace(point, figures={**figures, **costs})


def points() -> list[Point]:
    shapes = [
        (Conditions("command", 1_000), 10.0, 0.0),
        (Conditions("command", 1_000, partitions=96), 9.0, 0.0),
        (Conditions("command", 1_000, galleries=200_000), 8.0, 0.0),
        (Conditions("command", 1_000, galleries=200_000), 8.0, 700.0),
        (Conditions("command", 1_000, galleries=1), 7.0, 0.0),
        (Conditions("command", 500, galleries=10, per_second=20), 500.0, 0.0),
        (Conditions("command", 400, galleries=10, processes=4, partitions=96), 100.0, 0.0),
        (Conditions("command", 0), 0.0, 0.0),
        (Conditions("command", 0, partitions=96), 0.0, 0.0),
        (Conditions("command", 0, processes=4), 0.0, 0.0),
    ]
    found = [made(*shape) for shape in shapes]
    projected = [*shapes, (Conditions("command", 900, galleries=100_000, items=4), 5.0, 0.0)]
    projected.append((Conditions("command", 900, galleries=500, items=90), 5.0, 0.0))
    projected.append((Conditions("command", 900, galleries=90_000, items=9), 300.0, 50.0))
    found += [made(replace(shape[0], part="projector"), *shape[1:]) for shape in projected]
    relayed = [(100, 1, 5.0), (100, 4, 5.0), (100, 0, 50.0), (80, 2, 20.0)]
    found += [made(Conditions("relay", count, listeners=each), batches) for count, each, batches in relayed]
    found += [made(Conditions("relay", 0, partitions=each, processes=2), 0.0) for each in (12, 96)]
    found += [made(Conditions("write", 100, in_flight=each), 0.0) for each in (8, 32)]
    found += [made(Conditions("read", 100, in_flight=each), 0.0) for each in (8, 32)]
    found.append(made(Conditions("read", 100, in_flight=8, galleries=9_000), 0.0, 80.0))
    return found


def test_costs_are_found_again() -> None:
    fitted = fit_model(points())
    for point in points():
        assert fitted.predict_point(point) == pytest.approx(TRUE.predict_point(point), rel=0.01), point.conditions.name
    assert fitted.costs["command", "command"]["each"] == pytest.approx(COSTS["command", "command"]["each"], rel=0.05)


def test_a_write_costs_what_the_services_behind_the_gateway_do_not_explain() -> None:
    fitted = fit_model(points())
    assert fitted.costs["write", "mongod"]["each"] == pytest.approx(COSTS["write", "mongod"]["each"], rel=0.05)


def test_errors_compare_with_what_was_measured() -> None:
    measured = Measured({}, points(), {})
    odd = measured.points[0]
    figures = {**odd.figures, "cpu_command": 2 * odd.figures["cpu_command"]}
    measured.points[0] = replace(odd, figures=figures)
    found = errors(measured, fit_model(measured.points))
    assert [error.point for error in found] == measured.points
    # The model that has not seen the odd point is further from it than the one that was fitted to it too.
    assert found[0].without < found[0].model < found[0].measured


def test_every_part_needs_points() -> None:
    for part in PARTS:
        with pytest.raises(ValueError, match="nothing to fit"):
            fit_model(point for point in points() if point.conditions.part != part)


def test_pages_are_those_of_points_that_do_not_fit_the_cache() -> None:
    small = Conditions("command", 1_000, galleries=1_000_000, items=1, cache_mib=100)
    of_points = [
        Point(small, "", {"pages_read": 1_600.0}),
        Point(replace(small, cache_mib=4_096), "", {"pages_read": 5.0}),
    ]
    # 80 MiB of the cache have room for a fifth of a million galleries of 400 MiB / 10**6.
    each = 400 * 2**20 / 1_000_000
    assert pages_uncached(of_points, "command", each) == pytest.approx(2.0, rel=0.01)
    assert work_of(Point(small, "", {"seconds": 1.0, "pages_read": 1_600.0})).pages == 1_600.0
    assert pages_uncached([], "command", each) == 0.0
