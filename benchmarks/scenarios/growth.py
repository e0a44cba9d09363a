"""Measures the cost of one change in galleries of 10, 1,000 and 100,000 items. It must not grow with the gallery."""

from functools import partial

from benchmarks.event_workload import EventWorkload
from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.single_events import measure_single_events

SIZES = (10, 1_000, 100_000)
EVENTS = 300


async def _change(of_round: Round, size: int) -> Figures:
    return await measure_single_events(
        of_round, EventWorkload(1, size), EVENTS, "triptych.projector", "projector.v1", projector_port=0
    )


SCENARIO = Scenario(
    name="growth",
    description=f"{EVENTS} single changes of one gallery, by the number of its items",
    variants={f"{size:,}": partial(_change, size=size) for size in SIZES},
)
