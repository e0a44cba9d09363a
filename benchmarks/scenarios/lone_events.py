"""How long a lone event takes to the view and the joined topic: 20 a second, each awaited at the head's record."""

from benchmarks.event_workload import EventWorkload
from benchmarks.lone import PERIOD_SECONDS, measure_lone
from benchmarks.scenario import Figures, Round, Scenario

GALLERIES = 100
FILLED = 20
EVENTS = 600


async def product(of_round: Round) -> Figures:
    """The projector."""
    return await measure_lone(of_round, EventWorkload(GALLERIES, FILLED), EVENTS)


SCENARIO = Scenario(
    name="lone-events",
    description=f"{EVENTS} events at {1 / PERIOD_SECONDS:.0f} a second, from sending to the head's joined record",
    variants={"product": product},
)
