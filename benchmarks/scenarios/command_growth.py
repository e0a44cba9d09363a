"""Compares the cost of a change in a large gallery with that in a small gallery."""

import itertools

from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.simulation import new_gallery, play
from benchmarks.single_commands import requesting
from benchmarks.statistics import percentile

SIZES = (10, 1_000, 100_000)
MIX = {"UpdateItem": 1, "CreateItems": 1, "MoveItem": 1}
COMMANDS, WARM_UP = 330, 30


async def product(of_round: Round) -> Figures:
    """The command service. The galleries take turns, so that other load on the machine affects all of them."""
    galleries = [new_gallery(number, size) for number, size in enumerate(SIZES)]
    async with requesting(of_round, galleries, "triptych.command", command_port=0) as requester:
        times: dict[tuple[str, int], list[float]] = {}
        numbers = itertools.count()
        usage = requester.meter.read()
        # The commands have the same names in each gallery, because the seed is the same.
        for turn in zip(*(play([gallery], COMMANDS, MIX) for gallery in galleries), strict=True):
            for size, step in zip(SIZES, turn, strict=True):
                number = next(numbers)
                elapsed_ms = await requester.ask(step, f"command-{number}")
                if number == WARM_UP * len(SIZES):
                    usage = requester.meter.read()
                if number >= WARM_UP * len(SIZES):
                    times.setdefault((step.name, size), []).append(elapsed_ms)
        used = requester.meter.since(usage, (COMMANDS - WARM_UP) * len(SIZES))
    figures = {f"{name}_{size}_ms": percentile(taken, 0.5) for (name, size), taken in sorted(times.items())}
    for name in MIX:
        figures[f"{name}_growth"] = percentile(times[name, SIZES[-1]], 0.5) / percentile(times[name, SIZES[0]], 0.5)
    return figures | used


SCENARIO = Scenario(
    name="command-growth",
    description="from sending a single command to its reply, in galleries of"
    f" {', '.join(f'{size:,}' for size in SIZES)} items; growth is the last against the first",
    variants={"product": product},
)
