"""Renders a plan as text."""

from collections.abc import Iterable, Sequence

from benchmarks.scaling.demand import Demand
from benchmarks.scaling.facts import COMMAND_SETS, VIEW_SETS, Facts
from benchmarks.scaling.limits import limits
from benchmarks.scaling.planning import Plan, memory_of_services
from benchmarks.scaling.storage import networks, stored
from triptych.webhooks.settings import WebhookSettings

SHARDS: int = WebhookSettings.model_fields["webhooks_shards"].default
_UNITS = ((2**50, "PiB"), (2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def report(facts: Facts, plan: Plan) -> str:
    """The demand, the machines of each part, what ends first, storage and networks."""
    demand = plan.demand
    return "\n\n".join(
        (
            _demand(demand),
            _machines(plan),
            _sizes(facts, plan),
            _limits(facts, plan),
            "On disk, with all replicas, once everything is as old as it gets:\n"
            + table((each.what, bytes_of(each.bytes), each.because) for each in stored(facts, plan)),
            "On the network, each second:\n" + table((what, bytes_of(size)) for what, size in networks(facts, plan)),
        )
    )


def _demand(demand: Demand) -> str:
    popularity = f"Zipf {demand.zipf:g}" if demand.zipf else "all equally popular"
    return "\n".join(
        (
            f"{demand.commands_per_second:,.0f} commands a second on {demand.galleries:,} galleries"
            f" of {demand.items_per_gallery:,} items, {popularity}",
            f"{demand.http_share:.0%} of them over HTTP, {demand.reads_per_second:,.0f} pages read a second,"
            f" {demand.listeners:g} deliveries for each event",
            f"machines of {demand.cores_per_machine} cores and {demand.memory_per_machine:g} GiB,"
            f" used to {demand.utilisation:.0%}, {demand.replication} replicas",
        )
    )


def _machines(plan: Plan) -> str:
    rows = [
        (need.part, f"{need.processes:,}", f"{need.cores:,.1f}", f"{need.machines:,}", need.because)
        for need in plan.needs
    ]
    total = ("in all", "", f"{sum(need.cores for need in plan.needs):,.1f}", f"{plan.machines:,}", "")
    return table((("part", "processes", "cores", "machines", ""), *rows, total))


def _sizes(facts: Facts, plan: Plan) -> str:
    demand = plan.demand
    batches = ", ".join(f"{part} {steady.batch:,.0f}" for part, steady in plan.steady.items())
    working_set = demand.galleries * facts.cached_bytes((*COMMAND_SETS, *VIEW_SETS), demand.items_per_gallery)
    cache = plan.shards * demand.cache_bytes
    relays = plan.steady["relay"].processes if "relay" in plan.steady else 0
    shards = [("shards of listeners", f"{relays:,} or more (TRIPTYCH_WEBHOOKS_SHARDS)")] if relays > SHARDS else []
    return table(
        (
            ("partitions", f"{plan.partitions:,}"),
            *shards,
            ("operations in a batch", batches),
            ("a core, for a command with all it causes", f"{1_000 * plan.cores_per_command:.2f} ms"),
            ("galleries, items and views in memory", bytes_of(working_set)),
            ("MongoDB's caches", f"{bytes_of(cache)}, room for {plan.cached:.0%} of the galleries"),
            ("pages that MongoDB reads from disk", f"{plan.disk_reads:,.0f}/s"),
            ("memory of the services on a machine", f"{memory_of_services(facts, demand):.1f} GiB"),
        )
    )


def _limits(facts: Facts, plan: Plan) -> str:
    found = limits(facts, plan)
    asked = plan.demand.commands_per_second
    lines = [f"What ends first, in commands a second of the whole installation ({asked:,.0f} are asked for):"]
    lines.append(table((each.of, f"{each.per_second:,.0f}", each.because) for each in found))
    for each in found:
        if not each.can_be_several and each.per_second < asked:
            lines.append(f"No number of machines carries this: {each.of} ends at {each.per_second:,.0f}/s.")
    return "\n".join(lines)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows in aligned columns. Numbers are aligned to the right."""
    rows = [tuple(row) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numeric = [all(not row[column] or row[column][0].isdigit() for row in rows[1:]) for column in range(len(widths))]
    return "\n".join(
        ("  " + "  ".join(_cell(*cell) for cell in zip(row, widths, numeric, strict=True))).rstrip() for row in rows
    )


def _cell(text: str, width: int, is_number: bool) -> str:
    return text.rjust(width) if is_number else text.ljust(width)


def bytes_of(count: float) -> str:
    """A number of bytes with a binary unit."""
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,.0f} bytes"
