"""Medians, spreads, ratios and rates, without I/O."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# What is appended within this time of the first event counts as one batch with it: batches come every 100 ms or more.
FIRST_BATCH_MS = 20


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of several rounds: their median and how far they spread."""

    median: float
    low: float
    high: float


def summarise(values: Sequence[float]) -> Summary:
    """Median, minimum and maximum of at least one value."""
    return Summary(statistics.median(values), min(values), max(values))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Ratios pair by pair, since rounds played one after the other share the machine's mood.

    Raises ValueError if one has no partner.
    """
    return [above / below for above, below in zip(numerators, denominators, strict=True)]


def events_per_second(appended_ms: Sequence[int]) -> float:
    """The rate of events from the times at which the broker appended them, in milliseconds and any order.

    The first batch says when work was under way but not how long it took itself, so time runs from its end and its
    events are not counted. Otherwise whoever has the larger batches would look faster.

    Raises:
        ValueError: everything came at once, which says nothing about a rate.
    """
    times = sorted(appended_ms)
    first_batch = [time for time in times if time - times[0] <= FIRST_BATCH_MS]
    if len(first_batch) == len(times):
        raise ValueError("all events came in one batch: too few to tell a rate")
    return 1000 * (len(times) - len(first_batch)) / (times[-1] - first_batch[-1])
