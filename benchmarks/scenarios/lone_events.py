"""Measures how long single events take to reach the view and the joined topic, at 20 events a second."""

from benchmarks.event_workload import EventWorkload
from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.single_events import PERIOD_SECONDS, measure_single_events

GALLERIES = 100
FILLED = 20
EVENTS = 600


async def product(of_round: Round) -> Figures:
    """The projector."""
    return await measure_single_events(of_round, EventWorkload(GALLERIES, FILLED), EVENTS)


SCENARIO = Scenario(
    name="lone-events",
    description=f"{EVENTS} events at {1 / PERIOD_SECONDS:.0f} a second, from sending to the head's joined record",
    variants={"product": product},
)
