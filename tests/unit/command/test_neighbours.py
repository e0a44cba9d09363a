"""What is known of an order in several stretches is one where they meet."""

import itertools
import random

from triptych.command.domain.order.neighbours import HIGHEST, LOWEST, OrderRange, add_range, neighbourhood_of

ORDER = [(float(sort_order), f"item {sort_order}") for sort_order in range(10)]


def order_range(low: float, high: float) -> OrderRange:
    return OrderRange(low, high, [entry for entry in ORDER if low <= entry[0] <= high])


def test_stretches_that_meet_become_one() -> None:
    known = [order_range(0, 3)]
    add_range(known, order_range(3, 5))
    assert known == [order_range(0, 5)]
    add_range(known, order_range(7, HIGHEST))
    assert known == [order_range(0, 5), order_range(7, HIGHEST)]
    add_range(known, order_range(4, 8))
    assert known == [order_range(0, HIGHEST)]
    add_range(known, order_range(LOWEST, HIGHEST))
    assert known == [order_range(LOWEST, HIGHEST)]


def test_both_neighbours_are_known_where_two_stretches_meet() -> None:
    known = [order_range(0, 3)]
    add_range(known, order_range(3, 6))
    neighbourhood = neighbourhood_of(known, 3.0, 1)
    assert neighbourhood is not None
    assert list(neighbourhood.entries) == ORDER[2:5]


def test_any_stretches_lie_apart_and_tell_what_they_told_before() -> None:
    chance = random.Random(5)
    for _ in range(200):
        parts = [order_range(*sorted(chance.sample(range(-1, 11), 2))) for _ in range(chance.randint(1, 6))]
        known: list[OrderRange] = []
        for part in parts:
            add_range(known, part)
        known.sort(key=lambda part: part.low)
        assert all(one.high < other.low for one, other in itertools.pairwise(known))
        for sort_order in range(-1, 11):
            held = any(part.low <= sort_order <= part.high for part in parts)
            assert held == any(part.low <= sort_order <= part.high for part in known)
        entries = {entry for part in parts for entry in part.entries}
        assert [entry for part in known for entry in part.entries] == sorted(entries)
