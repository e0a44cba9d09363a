"""How fast a mix of waiting commands on galleries in use becomes events: the command service, a floor, a naive one."""

from dataclasses import replace

from benchmarks.pipeline import measure
from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.workload import GALLERIES, Workload

MIX = {"UpdateItem": 0.70, "CreateItems": 0.20, "MoveItem": 0.08, "DeleteItems": 0.02}
# Each round takes its variant several seconds; rates are compared, so the slow one gets fewer.
BACKLOG = Workload(40_000, MIX, items=20)
NAIVE_BACKLOG = replace(BACKLOG, commands=2_000)
# What the product puts into one transaction at most. Still larger ones serve the floor even better, because changes of
# one item become one write, but a transaction has to stay bounded.
FLOOR_BATCH = 2_000


async def product(of_round: Round) -> Figures:
    """The command service."""
    return await measure(of_round, BACKLOG, "triptych.command", command_port=0)


async def floor(of_round: Round) -> Figures:
    """The same reads and writes by the same clients."""
    return await measure(of_round, BACKLOG, "benchmarks.baselines.floor", str(FLOOR_BATCH))


async def naive(of_round: Round) -> Figures:
    """One message at a time, typed, acknowledged automatically."""
    return await measure(of_round, NAIVE_BACKLOG, "benchmarks.baselines.naive")


SCENARIO = Scenario(
    name="commands",
    description=f"{BACKLOG.commands:,} waiting commands (70 % update, 20 % create, 8 % move, 2 % delete) over"
    f" {GALLERIES:,} galleries of {BACKLOG.items} items, to events",
    variants={"product": product, "floor": floor, "naive": naive},
)
