"""Measures how fast waiting events become views and joined records: the projector, a floor and a naive service."""

from benchmarks.event_workload import EventWorkload
from benchmarks.projecting import fill, measure
from benchmarks.scenario import Figures, Round, Scenario

GALLERIES = 1_000
EVENTS = 200_000
NAIVE_EVENTS = 6_000
"""Only rates are compared, so the slow variant gets fewer events."""
FLOOR_BATCH, FLOOR_LANES = 10_000, 2
"""The batch of each lane: a transaction of about 7 MB, nearly the product's largest."""


async def _measure(of_round: Round, events: int, module: str, group: str, *args: str, **fields: object) -> Figures:
    workload = EventWorkload(GALLERIES)
    await fill(of_round, workload.beginnings())
    await fill(of_round, workload.changes(events))
    return await measure(of_round, workload, module, group, *args, **fields)


async def product(of_round: Round) -> Figures:
    """The projector."""
    return await _measure(of_round, EVENTS, "triptych.projector", "projector.v1", projector_port=0)


async def floor(of_round: Round) -> Figures:
    """The cheapest known way to the same result."""
    sizes = str(FLOOR_BATCH), str(FLOOR_LANES)
    return await _measure(of_round, EVENTS, "benchmarks.baselines.projection_floor", "floor", *sizes)


async def naive(of_round: Round) -> Figures:
    """One event at a time, as in tutorials."""
    return await _measure(of_round, NAIVE_EVENTS, "benchmarks.baselines.projection_naive", "naive")


SCENARIO = Scenario(
    name="projection",
    description=f"{EVENTS:,} waiting events of {GALLERIES:,} galleries, to views and joined records",
    variants={"product": product, "floor": floor, "naive": naive},
)
