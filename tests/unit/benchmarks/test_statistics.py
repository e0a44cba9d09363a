"""Summaries, ratios and rates."""

import pytest

from benchmarks.statistics import Summary, events_per_second, percentile, ratios, summarise


def test_summary_of_an_odd_and_an_even_number_of_rounds() -> None:
    assert summarise([3.0, 1.0, 8.0]) == Summary(3.0, 1.0, 8.0)
    assert summarise([3.0, 1.0, 8.0, 4.0]) == Summary(3.5, 1.0, 8.0)


@pytest.mark.parametrize(
    ("count", "share", "rank"),
    [
        (1, 0.5, 1),
        (1, 0.99, 1),
        (2, 0.5, 1),
        (10, 0.5, 5),
        (11, 0.5, 6),
        (10, 0.99, 10),
        (100, 0.99, 99),
        (101, 0.99, 100),
        (100, 0.07, 7),  # 0.07 * 100 is 7.000000000000001
        (100, 0.29, 29),  # 0.29 * 100 is 28.999999999999996
        (100, 1.0, 100),
        (100, 0.001, 1),
    ],
)
def test_percentile_is_the_value_of_the_nearest_rank(count: int, share: float, rank: int) -> None:
    assert percentile([float(value) for value in range(count, 0, -1)], share) == rank


def test_ratios_pair_the_rounds() -> None:
    # A machine that is half as fast in the second round changes both figures of that round, but no ratio.
    assert ratios([2_000.0, 1_000.0], [4_000.0, 2_000.0]) == [0.5, 0.5]


def test_ratios_of_rounds_without_partners_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_rate_of_single_events() -> None:
    assert events_per_second(range(1_000, 2_001, 100)) == pytest.approx(10.0)


@pytest.mark.parametrize("size", [1, 500, 2_000])
def test_rate_does_not_depend_on_the_size_of_batches(size: int) -> None:
    batches = 10
    times = [number * size for number in range(batches) for _ in range(size)]  # a millisecond an event
    if size == 1:
        times = [time * 100 for time in times]
        assert events_per_second(times) == pytest.approx(10.0)
    else:
        assert events_per_second(times) == pytest.approx(1_000.0)


def test_rate_counts_a_first_batch_that_takes_its_time_as_one() -> None:
    first = [0] * 100 + [12] * 100
    later = [1_012] * 200
    assert events_per_second([*later, *first]) == pytest.approx(200.0)


def test_rate_of_one_batch_cannot_be_told() -> None:
    with pytest.raises(ValueError, match="one batch"):
        events_per_second([5, 6, 7])
