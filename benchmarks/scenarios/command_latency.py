"""Measures how long a single command waits for its reply: from the command service, and from a floor."""

import itertools

from benchmarks.http_load import at_rate
from benchmarks.scenario import Figures, Round, Scenario
from benchmarks.scenarios.commands import MIX
from benchmarks.simulation import new_gallery, play
from benchmarks.single_commands import requesting
from benchmarks.statistics import percentile

PER_SECOND, COMMANDS, WARM_UP = 20, 400, 40
GALLERIES, ITEMS = 100, 20


async def product(of_round: Round) -> Figures:
    """The command service."""
    return await _measure(of_round, "triptych.command", command_port=0)


async def floor(of_round: Round) -> Figures:
    """The cheapest known way to the same result, in one lane."""
    return await _measure(of_round, "benchmarks.baselines.floor", str(COMMANDS), "1")


async def _measure(of_round: Round, module: str, *args: str, **fields: object) -> Figures:
    galleries = [new_gallery(number, ITEMS) for number in range(GALLERIES)]
    async with requesting(of_round, galleries, module, *args, **fields) as requester:
        steps = iter(play(galleries, WARM_UP + COMMANDS, MIX))
        numbers = itertools.count()

        async def request() -> None:
            await requester.ask(next(steps), f"command-{next(numbers)}")

        for _ in range(WARM_UP):
            await request()
        usage = requester.meter.read()
        times = await at_rate(request, PER_SECOND, COMMANDS)
        used = requester.meter.since(usage, COMMANDS)
    return {"p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99), **used}


SCENARIO = Scenario(
    name="command-latency",
    description=f"from sending a command to its reply, {PER_SECOND} commands a second, the mix of scenario commands",
    variants={"product": product, "floor": floor},
)
