"""Floors that the product beats are found, and chance is not taken for a wrong floor."""

import pytest

from benchmarks.judgement import ROUNDS_MIN, beaten_floors
from benchmarks.report import Result


def result(name: str, product: list[float], floor: list[float]) -> Result:
    """A scenario with one figure and these rounds."""
    return Result(
        "copying", "bytes", {"product": [{name: one} for one in product], "floor": [{name: one} for one in floor]}
    )


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        ("events_per_second", [1_100.0, 1_200.0, 1_300.0], [1_000.0, 1_000.0, 1_250.0]),
        ("services_cpu_s_per_1000", [0.1, 0.2, 0.3], [0.2, 0.3, 0.4]),
        ("total_cpu_s_per_1000", [0.1, 0.2, 0.3], [0.2, 0.3, 0.4]),
        ("one_at_a_time_p50_ms", [1.0, 2.0, 3.0], [1.1, 2.1, 3.1]),
    ],
)
def test_a_floor_beaten_in_every_round_is_named_with_its_figures(
    name: str, better: list[float], worse: list[float]
) -> None:
    (line,) = beaten_floors(result(name, better, worse))
    assert line.startswith(f"copying: the product beats its floor in {name}: product/floor ")
    assert line.endswith("in 3 rounds")
    assert not beaten_floors(result(name, worse, better))


def test_the_line_has_the_median_and_the_spread_of_the_ratios() -> None:
    (line,) = beaten_floors(result("reads_per_second", [1_100.0, 1_200.0, 1_300.0], [1_000.0, 1_000.0, 1_000.0]))
    assert "product/floor 1.2 (1.1..1.3)" in line


@pytest.mark.parametrize("worst", [1_000.0, 999.0])
def test_one_round_at_or_below_the_floor_is_within_the_spread(worst: float) -> None:
    assert not beaten_floors(result("events_per_second", [1_500.0, 1_500.0, worst], [1_000.0] * 3))


@pytest.mark.parametrize("name", ["p99_ms", "peak_rss_mib", "load_cpu_s_per_1000", "mongod_cpu_s_per_1000", "seconds"])
def test_figures_that_do_not_compare_work_are_not_judged(name: str) -> None:
    assert not beaten_floors(result(name, [1.0, 1.0, 1.0], [2.0, 2.0, 2.0]))
    assert not beaten_floors(result(name, [2.0, 2.0, 2.0], [1.0, 1.0, 1.0]))


def test_too_few_rounds_have_no_spread() -> None:
    few = ROUNDS_MIN - 1
    assert not beaten_floors(result("events_per_second", [2_000.0] * few, [1_000.0] * few))


def test_a_scenario_without_a_floor_is_not_judged() -> None:
    assert not beaten_floors(Result("s", "d", {"product": [{"events_per_second": 1.0}] * ROUNDS_MIN}))
