"""Costs are found again from what they add up to, and none is negative."""

import pytest

from benchmarks.scaling.fitting import Row, fit

TERMS = ("each", "batch", "idle")


def row(each: float, batch: float, idle: float, cost: float) -> Row:
    return Row({"each": each, "batch": batch, "idle": idle}, cost)


def test_costs_of_exact_measurements_are_found_exactly() -> None:
    works = [(1_000, 10, 1), (1_000, 500, 1), (20, 20, 8), (0, 0, 5)]
    rows = [row(*work, 0.002 * work[0] + 0.03 * work[1] + 0.5 * work[2]) for work in works]
    assert fit(rows, TERMS) == pytest.approx({"each": 0.002, "batch": 0.03, "idle": 0.5}, rel=1e-4)


def test_small_measurements_count_as_much_as_large_ones() -> None:
    """The errors are relative: otherwise the point of an hour would drown that of a second."""
    rows = [row(1, 0, 0, 1.1), row(1_000, 0, 0, 900.0)]
    fitted = fit(rows, ("each",))["each"]
    assert abs(fitted / 1.1 - 1) == pytest.approx(abs(fitted / 0.9 - 1), abs=0.03)


def test_a_term_that_would_be_negative_costs_nothing() -> None:
    rows = [row(100, 1, 0, 1.0), row(100, 50, 0, 0.9), row(200, 60, 0, 1.9)]
    fitted = fit(rows, TERMS)
    assert fitted["batch"] == 0.0
    assert fitted["each"] == pytest.approx(0.0095, rel=0.05)


def test_terms_that_occur_only_together_share_their_cost() -> None:
    fitted = fit([row(10, 10, 0, 1.0), row(20, 20, 0, 2.0)], TERMS)
    assert 10 * fitted["each"] + 10 * fitted["batch"] == pytest.approx(1.0, rel=1e-3)
    assert fitted["idle"] == 0.0


def test_nothing_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="nothing to fit"):
        fit([], TERMS)
