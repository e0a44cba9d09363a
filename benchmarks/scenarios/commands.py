"""Measures how fast a mixed backlog of commands becomes events: the command service, a floor, a naive service."""

from dataclasses import replace

from benchmarks.pipeline import measure
from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.workload import GALLERIES, Workload

MIX = {"UpdateItem": 0.70, "CreateItems": 0.20, "MoveItem": 0.08, "DeleteItems": 0.02}
# Every variant takes several seconds. Only rates are compared, so the slow variant gets fewer commands.
BACKLOG = Workload(40_000, MIX, items=20)
NAIVE_BACKLOG = replace(BACKLOG, commands=2_000)
# The product's largest transaction. The floor is faster with larger batches, because changes of one item become one
# write, but a transaction has to stay bounded.
FLOOR_BATCH, FLOOR_LANES = 2_000, 3


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
    name="commands",
    description=f"{BACKLOG.commands:,} waiting commands (70 % update, 20 % create, 8 % move, 2 % delete) over"
    f" {GALLERIES:,} galleries of {BACKLOG.items} items, to events",
    variants={"product": product, "floor": floor, "naive": naive},
)
