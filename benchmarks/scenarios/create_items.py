"""Measures how fast a backlog of CreateItems becomes events: the command service, a floor and a naive service."""

from benchmarks.pipeline import measure
from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.workload import GALLERIES, Workload

# Every variant takes several seconds. Only rates are compared, so the slow variant gets fewer commands.
BACKLOG = Workload(40_000)
NAIVE_BACKLOG = Workload(2_000)
FLOOR_BATCH, FLOOR_LANES = 1_000, 3
"""The batch of each lane with which the floor is fastest; the scenario floor-batches measures it."""


async def product(of_round: Round) -> Figures:
    """The command service."""
    return await measure(of_round, BACKLOG, "triptych.command", command_port=0)


async def floor(of_round: Round) -> Figures:
    """The cheapest known way to the same result."""
    return await measure(of_round, BACKLOG, "benchmarks.baselines.floor", str(FLOOR_BATCH), str(FLOOR_LANES))


async def naive(of_round: Round) -> Figures:
    """One typed message at a time, acknowledged automatically."""
    return await measure(of_round, NAIVE_BACKLOG, "benchmarks.baselines.naive")


SCENARIO = Scenario(
    name="create-items",
    description=f"{BACKLOG.commands:,} waiting commands of one image each, over {GALLERIES:,} galleries, to events",
    variants={"product": product, "floor": floor, "naive": naive},
)
