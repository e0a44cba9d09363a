"""Says at which rate each part ends that exists only once: a gallery, a partition, a primary, a machine; pure."""

from dataclasses import dataclass, replace

from benchmarks.scaling.demand import Demand
from benchmarks.scaling.facts import Facts
from benchmarks.scaling.planning import Plan, attempt
from benchmarks.scaling.steady import BATCHING, largest_batch_seconds
from benchmarks.scaling.work import Work

_CLOSE = 0.01


@dataclass(frozen=True, slots=True)
class Limit:
    """The commands a second of the whole installation at which one of something has reached the utilisation."""

    of: str
    per_second: float
    because: str
    can_be_several: bool = True
    """Whether an installation may have more of it."""


def limits(facts: Facts, plan: Plan) -> list[Limit]:
    """All limits of a plan, the lowest first."""
    demand = plan.demand
    hottest = demand.hottest_share
    serial = demand.utilisation / serial_seconds(facts, demand)
    found = [
        Limit(
            "the most popular gallery",
            serial / hottest,
            f"gets {hottest:.2g} of all commands; a gallery can have {serial:,.0f}/s",
            can_be_several=False,
        ),
        Limit(
            "the busiest partition",
            serial / (hottest + (1 - hottest) / plan.partitions),
            f"a partition is one lane of one process: {serial:,.0f}/s",
        ),
    ]
    for part, steady in plan.steady.items():
        seconds = largest_batch_seconds(facts.model, part, steady.processes, steady.given)
        name = {"command": "one command service", "projector": "one projector", "relay": "one relay"}[part]
        found.append(Limit(name, demand.utilisation / seconds, f"{1_000 * seconds:.2f} ms of its core for a command"))
    if demand.listeners:
        each = facts.model.costs["relay", "webhooks"]["delivery"]
        found.append(Limit("one listener that wants all events", demand.utilisation / each, "is served by one relay"))
    found.append(one_primary(facts, plan))
    found.append(
        Limit(
            "one machine for everything",
            demand.cores / plan.cores_per_command,
            f"{1_000 * plan.cores_per_command:.2f} ms of a core for a command",
        )
    )
    return sorted(found, key=lambda limit: limit.per_second)


def serial_seconds(facts: Facts, demand: Demand) -> float:
    """The time of a command, in large batches, if nothing overlaps: all of it is of one partition."""
    total = {}
    for part in ("command", "projector"):
        size = float(BATCHING[part].largest)
        work = Work(part, size, 1.0, 0.0, 1, 1, 1, demand.items_per_gallery)
        total[part] = sum(facts.model.predict(work).values()) / size
    return max(total.values())


def one_primary(facts: Facts, plan: Plan) -> Limit:
    """The rate at which a replica set without shards ends, found by halving."""
    low, high = 1.0, 1e6
    while high > (1 + _CLOSE) * low:
        middle = (low * high) ** 0.5
        fits = attempt(facts, _at(plan.demand, middle), plan.partitions, 1).shards == 1
        low, high = (middle, high) if fits else (low, middle)
    (need,) = (
        each for each in attempt(facts, _at(plan.demand, high), plan.partitions, 1).plan.needs if each.part == "MongoDB"
    )
    return Limit("one MongoDB primary", low, need.because)


def _at(demand: Demand, per_second: float) -> Demand:
    share = per_second / demand.commands_per_second
    return replace(demand, commands_per_second=per_second, reads_per_second=demand.reads_per_second * share)
