"""docs/scaling.md shows the measured points, and what the command prints now."""

from benchmarks.scaling.facts import facts_of
from benchmarks.scaling.model import errors
from benchmarks.scaling.page import PAGE, render
from benchmarks.scaling.points import PARTS, load
from benchmarks.scaling.schedule import ALL
from benchmarks.statistics import percentile

MEASURED = load()


def test_the_page_is_up_to_date() -> None:
    """Otherwise run `python -m benchmarks.scaling.page`."""
    page = PAGE.read_text()
    assert render(page, MEASURED) == page
    assert page.count("<!-- begin ") == 5
    assert page.count("$ python -m benchmarks plan ") >= 2


def test_a_drifted_page_is_noticed() -> None:
    page = PAGE.read_text()
    drifted = page
    for printed, other in (("What ends first, in commands", "What ends last, in commands"), ("batch |", "part |")):
        assert printed in drifted
        drifted = drifted.replace(printed, other)
    assert render(drifted, MEASURED) == page


def test_all_planned_points_are_measured_and_no_others() -> None:
    assert {point.conditions for point in MEASURED.points} == set(ALL)


def test_the_model_is_near_its_points() -> None:
    found = errors(MEASURED, facts_of(MEASURED).model)
    for part in PARTS:
        off = [abs(error.model / error.measured - 1) for error in found if error.point.conditions.part == part]
        assert percentile(off, 0.5) < 0.15, part
