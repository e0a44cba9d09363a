"""Measures how long single events take to reach the view and the joined topic: the projector, and a floor."""

from benchmarks.event_workload import EventWorkload
from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.single_events import PERIOD_SECONDS, measure_single_events

GALLERIES = 100
FILLED = 20
EVENTS = 600


async def product(of_round: Round) -> Figures:
    """The projector."""
    return await _measure(of_round, "triptych.projector", "projector.v1", projector_port=0)


async def floor(of_round: Round) -> Figures:
    """The cheapest known way to the same result, in one lane."""
    return await _measure(of_round, "benchmarks.baselines.projection_floor", "floor", str(EVENTS), "1")


async def _measure(of_round: Round, module: str, group: str, *args: str, **fields: object) -> Figures:
    workload = EventWorkload(GALLERIES, FILLED)
    return await measure_single_events(of_round, workload, EVENTS, module, group, *args, **fields)


SCENARIO = Scenario(
    name="lone-events",
    description=f"{EVENTS} events at {1 / PERIOD_SECONDS:.0f} a second, from sending to the head's joined record",
    variants={"product": product, "floor": floor},
)
