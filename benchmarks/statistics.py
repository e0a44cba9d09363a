"""Computes medians, spreads, percentiles, ratios and rates, without I/O."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Events that are appended within this time of the first event are its batch. Batches come every 100 ms or more.
FIRST_BATCH_MS = 20


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of several rounds: their median, minimum and maximum."""

    median: float
    low: float
    high: float


def summarise(values: Sequence[float]) -> Summary:
    """Median, minimum and maximum of at least one value."""
    return Summary(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed (the nearest-rank method).

    It is always one of the values: of ten values, the fifth is p50, and the tenth is p99.

    Args:
        values: at least one, in any order.
        share: above 0, at most 1: 0.99 for p99.
    """
    # 0.07 * 100 is a little more than 7, because binary fractions are not exact.
    rank = math.ceil(round(share * len(values), 9))
    return sorted(values)[max(rank, 1) - 1]


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """The ratio of each pair. The rounds of a pair follow each other, so that the machine's state is similar.

    Raises ValueError if the numbers of values differ.
    """
    return [above / below for above, below in zip(numerators, denominators, strict=True)]


def events_per_second(appended_ms: Sequence[int]) -> float:
    """The rate of events from the times at which the broker appended them, in milliseconds and any order.

    The duration of the first batch is unknown. The time is therefore measured from its end, without its events.
    Otherwise, larger batches would give a higher rate.

    Raises:
        ValueError: all events came in one batch, so that there is no rate.
    """
    times = sorted(appended_ms)
    first_batch = [time for time in times if time - times[0] <= FIRST_BATCH_MS]
    if len(first_batch) == len(times):
        raise ValueError("all events came in one batch: too few to measure a rate")
    return 1000 * (len(times) - len(first_batch)) / (times[-1] - first_batch[-1])
