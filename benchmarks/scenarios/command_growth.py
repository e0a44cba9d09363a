"""What a change costs in a large gallery beside one in a small gallery."""

import itertools
from statistics import median

from benchmarks.lone_commands import requesting
from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.simulation import new_gallery, play

SIZES = (10, 1_000, 100_000)
MIX = {"UpdateItem": 1, "CreateItems": 1, "MoveItem": 1}
COMMANDS, WARM_UP = 330, 30


async def product(of_round: Round) -> Figures:
    """The command service; galleries take turns, so that what happens on the machine meanwhile happens to all."""
    galleries = [new_gallery(number, size) for number, size in enumerate(SIZES)]
    async with requesting(of_round, galleries) as requester:
        times: dict[tuple[str, int], list[float]] = {}
        numbers = itertools.count()
        # The same names in each gallery, because chance is the same.
        for turn in zip(*(play([gallery], COMMANDS, MIX) for gallery in galleries), strict=True):
            for size, step in zip(SIZES, turn, strict=True):
                number = next(numbers)
                taken = await requester.ask(step, f"command-{number}")
                if number >= WARM_UP * len(SIZES):
                    times.setdefault((step.name, size), []).append(taken)
    figures = {f"{name}_{size}_ms": median(taken) for (name, size), taken in sorted(times.items())}
    for name in MIX:
        figures[f"{name}_growth"] = median(times[name, SIZES[-1]]) / median(times[name, SIZES[0]])
    return figures


SCENARIO = Scenario(
    name="command-growth",
    description=f"from sending a lone command to its reply, in galleries of {', '.join(f'{size:,}' for size in SIZES)}"
    " items; growth is the last against the first",
    variants={"product": product},
)
