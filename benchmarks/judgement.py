"""Decides whether floors are honest: a product that beats its floor shows that the floor does needless work."""

from benchmarks.figures import direction_of
from benchmarks.report import Result
from benchmarks.statistics import Summary

COMPARISON = "product/floor"
ROUNDS_MIN = 3
"""With fewer rounds, no spread is known, and nothing is judged."""


def beaten_floors(result: Result) -> list[str]:
    """A line for each figure in which the product was better than its floor in every round of a scenario.

    A ratio beyond 1 in some of the rounds is within the spread, and may be chance.
    """
    if len(result.rounds.get("floor", ())) < ROUNDS_MIN:
        return []
    ratios = result.ratios().get(COMPARISON, {})
    return [
        f"{result.scenario}: the product beats its floor in {name}: product/floor {ratio.median:.3g}"
        f" ({ratio.low:.3g}..{ratio.high:.3g}) in {len(result.rounds['floor'])} rounds"
        for name, ratio in ratios.items()
        if _is_beyond_one(name, ratio)
    ]


def _is_beyond_one(name: str, ratio: Summary) -> bool:
    match direction_of(name):
        case 1:
            return ratio.low > 1
        case -1:
            return ratio.high < 1
        case _:
            return False
