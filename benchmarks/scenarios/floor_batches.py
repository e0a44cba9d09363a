"""Measures with which batch size the floor of create-items is fastest. A slower floor would flatter the product."""

from functools import partial

from benchmarks.pipeline import measure
from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.scenarios.create_items import BACKLOG, FLOOR_LANES

SIZES = (500, 1_000, 2_000)


async def _floor(of_round: Round, size: int) -> Figures:
    return await measure(of_round, BACKLOG, "benchmarks.baselines.floor", str(size), str(FLOOR_LANES))


SCENARIO = Scenario(
    name="floor-batches",
    description="the floor of create-items by its batch size",
    variants={str(size): partial(_floor, size=size) for size in SIZES},
)
