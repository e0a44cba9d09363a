"""Runs one seed: sends commands while faults happen, waits until everything is quiet, and judges what was observed."""

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.support.chaos.history import Violation
from tests.support.chaos.judging import judge
from tests.support.command_mix import CommandMix
from tests.support.simulation import past, relay, services
from tests.support.simulation.clocks import virtual_time
from tests.support.simulation.faults import Faults
from tests.support.simulation.loop import OUTSIDE, SimulatedLoop
from tests.support.simulation.observing import active_version, left_over, observe
from tests.support.simulation.world import Wanted, World
from triptych.kit.kafka import groups
from triptych.readmodel.versions import FIRST_VERSION

QUIET_SECONDS, STANDSTILL_SECONDS = 200.0, 90.0
"""How long a system may take to become quiet, and how long nothing that is left may change: no wait of the product is
longer than a minute."""
AUDITED_SECONDS = 10.0
"""How long a quiet system goes on, so that the joined topic is audited once more."""


@dataclass
class Outcome:
    """What one seed has led to."""

    seed: int
    steps: int
    trace: str
    records: int
    faults: int
    parts: list[str]
    """What there was besides command services and projectors."""
    violations: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


def simulate(
    seed: int,
    planted: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    wanted: Wanted = Wanted(),  # noqa: B008 - immutable
    *,
    rounds: int = 25,
) -> Outcome:
    """Run one seed to its end. `planted` makes a context in which the product has a fault; see `Wanted`."""
    loop = SimulatedLoop()
    asyncio.set_event_loop(loop)
    world = World(seed, loop, wanted)
    try:
        with (
            collecting_no_garbage(),
            virtual_time(loop, str(seed)),
            services.models_in_place(world.broker, world.shape),
            planted(),
        ):
            violations = list(world.violations)
            try:
                loop.run_until_complete(loop.create_task(_run(world, rounds), context=OUTSIDE))
                history = observe(world)
                violations = [*world.violations, *judge(history)]
                if world.has_relays:
                    violations += relay.check(world.server, world.receivers, history.events)
                if world.shape.has_history:
                    replies = {answer.command: answer.content for answer in history.answers}
                    violations += past.check_history(world.server, history.events)
                    violations += past.check_restores(world.sent, replies, history.events)
            except Stuck as stuck:
                violations = [*world.violations, Violation("I10", f"never quiet: {stuck}")]
            steps = loop.steps
            for process in world.running.values():
                process.kill()
            loop.run_until_complete(_drain(loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    faults = [f"{error.get('message')} {error.get('exception')!r}" for error in loop.errors]
    return Outcome(
        seed,
        steps,
        world.trace.hexdigest(),
        sum(map(len, world.records.values())),
        len(world.log),
        world.parts,
        [*map(str, violations)],
        [*world.log, *faults],
    )


@contextlib.contextmanager
def collecting_no_garbage() -> Iterator[None]:
    """Collect garbage when the block has ended: in it, that would happen at moments that do not depend on the seed."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


class Stuck(Exception):
    """The system does not become quiet."""


async def _drain(loop: SimulatedLoop) -> None:
    for _ in range(100):
        tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.sleep(1.0)


async def _run(world: World, rounds: int) -> None:
    mix = CommandMix(world.chance, f"c{world.seed}", trouble=0.25)
    if world.shape.has_history:
        mix.weights["RestoreGallery"] = 4
    if world.has_relays:
        await relay.create_listeners(world.server)
    faults = Faults(world)
    world.start()
    operated_in = world.chance.randrange(rounds)
    for number in range(rounds):
        if number == operated_in and world.is_rebuilt:
            world.start_operation("rebuild", services.run_rebuild)
        elif number == operated_in and world.shape.grows:
            world.start_operation("growth", services.run_growth)
        world.send(mix.batch(world.chance.choice([1, 2, 5, 12])))
        faults.change()
        await asyncio.sleep(world.chance.choice([0.01, 0.1, 1.0, 5.0]))
    await asyncio.sleep(1.0)
    faults.clear()
    await _until_quiet(world)


async def _until_quiet(world: World) -> None:
    deadline = world.loop.time() + QUIET_SECONDS
    before, changed_at = [""], world.loop.time()
    while unfinished := _unfinished(world):
        if unfinished != before:
            before, changed_at = unfinished, world.loop.time()
        if world.loop.time() > min(deadline, changed_at + STANDSTILL_SECONDS):
            raise Stuck("; ".join(unfinished))
        await asyncio.sleep(1.0)
    world.note("quiet")
    await asyncio.sleep(AUDITED_SECONDS)


def _unfinished(world: World) -> list[str]:
    found = [f"{count} {what}" for what, count in left_over(world).items() if count]
    found += [f"{host} has not ended" for host in world.operations]
    former = {
        groups.projector_group(services.TOPICS.prefix, version)
        for version in range(FIRST_VERSION, active_version(world))
    }
    for name, group in world.broker.groups.items():
        if name in former:
            continue
        topic = services.TOPICS.commands if name == services.COMMAND_GROUP else services.TOPICS.events
        for number, log in enumerate(world.broker.topics[topic]):
            if log.end > max(group.offsets.get(number, 0), log.beginning):
                found.append(f"{name} has not finished partition {number}")
    return found
