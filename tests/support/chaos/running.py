"""Runs an installation under load and faults, and has the judge look at what was observed."""

import asyncio
import random
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.support.chaos.faults import BEYOND_SESSION_SECONDS, NAMES, Faults, Plan
from tests.support.chaos.following import following
from tests.support.chaos.history import Fault, History, Memory, Violation
from tests.support.chaos.judging import judge
from tests.support.chaos.judging.events import repeated
from tests.support.chaos.judging.processes import check_repeats
from tests.support.chaos.observing import observe, until_quiet
from tests.support.chaos.receiver import ALLOWED, open_receivers
from tests.support.chaos.recording import open_recording
from tests.support.chaos.watch import Watch
from tests.support.chaos.workload import SITES, Pace, key_of, open_workload, sending
from tests.support.installation import Installation
from tests.support.own_servers import OwnServers
from tests.support.restarts import instances
from triptych.gateway.access.keys import Scope, store_key

MEMORY_LIMIT = 400 << 20
WAIT_SECONDS = 2
"""How long the relay leaves a receiver alone after a timeout or a 429: by default a minute."""


class Struck(NamedTuple):
    """A fault, and the wall time of its beginning in seconds."""

    at: float
    fault: Fault


Strike: TypeAlias = Callable[[Faults, Watch], Awaitable[list[Struck]]]
"""Carries out all faults of a run, while the load goes on."""


@dataclass(frozen=True)
class Form:
    """What a run consists of.

    Attributes:
        seed: determines the commands, the faults and the failures of receivers.
        strike: the faults.
        names: the processes, such as `command-1`.
        pace: the load.
    """

    seed: int
    strike: Strike
    names: Sequence[str] = NAMES
    pace: Pace = field(default_factory=Pace)


@dataclass
class Outcome:
    """What a run has shown. `counts` says what it consisted of, by description."""

    counts: dict[str, int]
    faults: list[Fault]
    violations: list[Violation]


async def strike(faults: Faults, watch: Watch, *plans: Plan, still: float = BEYOND_SESSION_SECONDS) -> list[Struck]:
    """Carry out faults at the same time, and wait until work goes on and all services are ready.

    `still` is how long a stopped service stands still, in seconds.
    """
    at = time.time()
    since = max(await asyncio.gather(*(faults.strike(plan) for plan in plans)))
    recovery, _ = await asyncio.gather(watch.recovery(since), faults.heal(still))
    for plan in plans:
        print(f"{plan.component:10} {plan.kind}: {recovery}", flush=True)
    await faults.all_ready()
    return [Struck(at, Fault(plan.kind, plan.component, recovery)) for plan in plans]


async def store_keys(installation: Installation) -> None:
    """Store the key of each site, which may do everything."""
    for site in SITES:
        scopes = [Scope.READ, Scope.MANAGE]
        await store_key(installation.database, key_of(site), site_id=site, scopes=scopes, name=site)


async def run(form: Form, installation: Installation, servers: OwnServers, folder: Path) -> Outcome:
    """Run this form, observe what it has left, and judge it."""
    await store_keys(installation)
    with open_recording(folder / "recording.sqlite") as recording:
        async with (
            open_receivers(installation, recording, random.Random(form.seed)) as receivers,
            instances(
                installation,
                folder,
                are_forks=True,
                webhooks_allowed_networks=ALLOWED,
                webhooks_minimum_wait=WAIT_SECONDS,
            ) as running,
        ):
            faults = Faults(running, servers, folder, random.Random(form.seed), form.names)
            for name in form.names:
                running.start(name)
            gateways = [running.address(name) for name in form.names if name.startswith("gateway")]
            await faults.all_ready()
            async with open_workload(installation, gateways, random.Random(form.seed), form.pace) as workload:
                watch = Watch(workload)
                receivers.seen_by(watch)
                async with following(installation, recording, watch), faults.supervising():
                    await watch.create_probes()
                    async with sending(workload):
                        struck = await form.strike(faults, watch)
                    receivers.heal()
                    await faults.all_ready()
                    waits_for = await until_quiet(installation, workload, watch)
                made = await observe(installation, workload, receivers, recording, gateways[0])
        made.faults = [fault for _, fault in struck]
        made.memory = [Memory(name, peak) for name, peak in faults.peaks.items()]
        made.memory_limit = MEMORY_LIMIT
        made.unready = [*faults.unexpected, *([f"not quiet: {waits_for}"] if waits_for else [])]
        violations: list[Violation] = []
        repeats: Counter[str] = Counter()
        for part in recording.parts(made, workload.commands, workload.answers):
            violations += judge(part)
            repeats += count_repeats(part, struck)
        violations += check_repeats(made.faults)
        counts = {
            "commands": len(workload.commands),
            "acknowledged": sum(command.is_acknowledged for command in workload.commands),
            "replies on topics": recording.count("replies"),
            "answers over HTTP": len(workload.answers),
            "events": recording.count("events"),
            **repeats,
            "joined records": recording.joined_records,
            "galleries": recording.count("states"),
            "webhook requests": recording.count("deliveries"),
            "faults": len(struck),
            "MiB of the largest process": max(faults.peaks.values()) >> 20,
            "MiB of the test": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        }
        return Outcome(counts, made.faults, violations)


def count_repeats(part: History, struck: Sequence[Struck]) -> Counter[str]:
    """Give each fault the repeats from its beginning to the next fault; count all, and those before the first."""
    found: Counter[str] = Counter()
    for number in repeated(part.events):
        before = [fault for at, fault in struck if at * 1_000 <= part.events[number].at]
        if before:
            before[-1].repeats += 1
        found["of these repeated"] += 1
        found["of these before the first fault"] += not before
    return found
