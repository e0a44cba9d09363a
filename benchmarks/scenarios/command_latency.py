"""Measures how long a single command waits for its reply."""

import itertools

from benchmarks.http_load import at_rate, quantile
from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.scenarios.commands import MIX
from benchmarks.simulation import new_gallery, play
from benchmarks.single_commands import requesting

PER_SECOND, COMMANDS, WARM_UP = 20, 400, 40
GALLERIES, ITEMS = 100, 20


async def product(of_round: Round) -> Figures:
    """The command service."""
    galleries = [new_gallery(number, ITEMS) for number in range(GALLERIES)]
    async with requesting(of_round, galleries) as requester:
        steps = iter(play(galleries, WARM_UP + COMMANDS, MIX))
        numbers = itertools.count()

        async def request() -> None:
            await requester.ask(next(steps), f"command-{next(numbers)}")

        for _ in range(WARM_UP):
            await request()
        times = await at_rate(request, PER_SECOND, COMMANDS)
    return {"p50_ms": quantile(times, 0.5), "p99_ms": quantile(times, 0.99)}


SCENARIO = Scenario(
    name="command-latency",
    description=f"from sending a command to its reply, {PER_SECOND} commands a second, the mix of scenario commands",
    variants={"product": product},
)
