"""What is known of an order in several stretches is one where they meet."""

import itertools
import random

from triptych.command.domain.order.neighbours import HIGHEST, LOWEST, OrderRange, join, neighbourhood_of

ORDER = [(float(place), f"item {place}") for place in range(10)]


def stretch(low: float, high: float) -> OrderRange:
    return OrderRange(low, high, [entry for entry in ORDER if low <= entry[0] <= high])


def test_stretches_that_meet_become_one() -> None:
    known = [stretch(0, 3)]
    join(known, stretch(3, 5))
    assert known == [stretch(0, 5)]
    join(known, stretch(7, HIGHEST))
    assert known == [stretch(0, 5), stretch(7, HIGHEST)]
    join(known, stretch(4, 8))
    assert known == [stretch(0, HIGHEST)]
    join(known, stretch(LOWEST, HIGHEST))
    assert known == [stretch(LOWEST, HIGHEST)]


def test_both_neighbours_are_known_where_two_stretches_meet() -> None:
    known = [stretch(0, 3)]
    join(known, stretch(3, 6))
    line = neighbourhood_of(known, 3.0, 1)
    assert line is not None
    assert list(line.entries) == ORDER[2:5]


def test_any_stretches_lie_apart_and_tell_what_they_told_before() -> None:
    chance = random.Random(5)
    for _ in range(200):
        parts = [stretch(*sorted(chance.sample(range(-1, 11), 2))) for _ in range(chance.randint(1, 6))]
        known: list[OrderRange] = []
        for part in parts:
            join(known, part)
        known.sort(key=lambda part: part.low)
        assert all(one.high < other.low for one, other in itertools.pairwise(known))
        for place in range(-1, 11):
            held = any(part.low <= place <= part.high for part in parts)
            assert held == any(part.low <= place <= part.high for part in known)
        entries = {entry for part in parts for entry in part.entries}
        assert [entry for part in known for entry in part.entries] == sorted(entries)
