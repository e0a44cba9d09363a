"""Loaded ranges of an order become one where they touch."""

import itertools
import random

from triptych.command.domain.order.neighbours import HIGHEST, LOWEST, OrderRange, add_range, neighbourhood_of

ORDER = [(float(sort_order), f"item {sort_order}") for sort_order in range(10)]


def order_range(low: float, high: float) -> OrderRange:
    return OrderRange(low, high, [entry for entry in ORDER if low <= entry[0] <= high])


def test_ranges_that_touch_become_one() -> None:
    known = [order_range(0, 3)]
    add_range(known, order_range(3, 5))
    assert known == [order_range(0, 5)]
    add_range(known, order_range(7, HIGHEST))
    assert known == [order_range(0, 5), order_range(7, HIGHEST)]
    add_range(known, order_range(4, 8))
    assert known == [order_range(0, HIGHEST)]
    add_range(known, order_range(LOWEST, HIGHEST))
    assert known == [order_range(LOWEST, HIGHEST)]


def test_both_neighbours_are_known_where_two_ranges_touch() -> None:
    known = [order_range(0, 3)]
    add_range(known, order_range(3, 6))
    neighbourhood = neighbourhood_of(known, 3.0, 1)
    assert neighbourhood is not None
    assert list(neighbourhood.entries) == ORDER[2:5]


def test_merged_ranges_never_touch_and_contain_the_same_items() -> None:
    chance = random.Random(5)
    for _ in range(200):
        added = [order_range(*sorted(chance.sample(range(-1, 11), 2))) for _ in range(chance.randint(1, 6))]
        known: list[OrderRange] = []
        for one in added:
            add_range(known, one)
        known.sort(key=lambda one: one.low)
        assert all(one.high < other.low for one, other in itertools.pairwise(known))
        for sort_order in range(-1, 11):
            is_loaded = any(one.low <= sort_order <= one.high for one in added)
            assert is_loaded == any(one.low <= sort_order <= one.high for one in known)
        entries = {entry for one in added for entry in one.entries}
        assert [entry for one in known for entry in one.entries] == sorted(entries)
