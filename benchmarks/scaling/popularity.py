"""Computes how popular galleries are under Zipf's law, and what follows for batches and caches; pure.

The popularity of the gallery of rank r is proportional to r**-exponent. With the exponent 0, all are equally popular.
Sums over many ranks are taken in buckets of ranks that grow by a twentieth, so that ten million galleries cost no more
than a few hundred steps; the sums are exact to about a thousandth.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

_EXACT_RANKS = 100
_GROWTH = 1.05


def weights(galleries: int, exponent: float) -> list[float]:
    """The cumulative weights of all ranks, as `random.choices` takes them."""
    return list(accumulate(rank**-exponent for rank in range(1, galleries + 1)))


@lru_cache(maxsize=256)
def _buckets(galleries: int, exponent: float) -> tuple[tuple[int, float], ...]:
    """Buckets of consecutive ranks: the number of galleries, and the share of each of them in all operations."""
    if not exponent:
        return ((galleries, 1 / galleries),)
    found = list(_ranks(galleries, exponent))
    total = sum(count * weight for count, weight in found)
    return tuple((count, weight / total) for count, weight in found)


def _ranks(galleries: int, exponent: float) -> Iterator[tuple[int, float]]:
    first = 1
    while first <= galleries:
        last = first if first <= _EXACT_RANKS else min(galleries, int(first * _GROWTH))
        middle = math.sqrt((first - 0.5) * (last + 0.5)) if last > first else float(first)
        yield last - first + 1, middle**-exponent
        first = last + 1


def hottest_share(galleries: int, exponent: float) -> float:
    """The share of the most popular gallery in all operations."""
    return _buckets(galleries, exponent)[0][1]


@lru_cache(maxsize=65_536)
def distinct(galleries: int, exponent: float, draws: float, beyond: float = 0.0) -> float:
    """The expected number of different galleries among this many operations, without the `beyond` most popular ones."""
    expected = passed = 0.0
    for count, share in _buckets(galleries, exponent):
        counted = min(float(count), max(0.0, passed + count - beyond))
        expected += counted * _chance(share, draws)
        passed += count
    return expected


def _chance(share: float, draws: float) -> float:
    """The chance that a gallery with this share is among the operations: 1 - (1 - share)**draws."""
    return 1.0 if share >= 1.0 else -math.expm1(draws * math.log1p(-share))


def share_of_top(galleries: int, exponent: float, top: float) -> float:
    """The share of the `top` most popular galleries in all operations."""
    covered = taken = 0.0
    for count, share in _buckets(galleries, exponent):
        part = min(float(count), top - taken)
        if part <= 0:
            break
        covered += part * share
        taken += part
    return min(1.0, covered)
