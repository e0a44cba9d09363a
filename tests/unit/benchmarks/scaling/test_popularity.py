"""Zipf's law in buckets agrees with the sums over all ranks."""

import random
from itertools import accumulate

import pytest

from benchmarks.scaling.popularity import distinct, hottest_share, share_of_top, weights

GALLERIES = 5_000


def exact_shares(exponent: float) -> list[float]:
    weights_ = [rank**-exponent for rank in range(1, GALLERIES + 1)]
    return [weight / sum(weights_) for weight in weights_]


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 1.3])
def test_buckets_agree_with_all_ranks(exponent: float) -> None:
    shares = exact_shares(exponent)
    assert hottest_share(GALLERIES, exponent) == pytest.approx(shares[0], rel=0.01)
    for top in (1, 40, 777, 5_000):
        assert share_of_top(GALLERIES, exponent, top) == pytest.approx(sum(shares[:top]), rel=0.01)
    for draws in (1, 30, 20_000):
        expected = [1 - (1 - share) ** draws for share in shares]
        assert distinct(GALLERIES, exponent, draws) == pytest.approx(sum(expected), rel=0.01)
        assert distinct(GALLERIES, exponent, draws, beyond=500) == pytest.approx(
            sum(expected[500:]), rel=0.01, abs=0.01
        )


def test_one_gallery_gets_everything() -> None:
    assert hottest_share(1, 1.0) == distinct(1, 1.0, 50) == share_of_top(1, 0.0, 10) == 1.0


def test_weights_choose_by_popularity() -> None:
    chosen = random.Random(1).choices(range(100), cum_weights=weights(100, 1.0), k=20_000)
    assert chosen.count(0) / chosen.count(1) == pytest.approx(2.0, rel=0.1)
    assert weights(4, 0.0) == list(accumulate([1.0] * 4))
