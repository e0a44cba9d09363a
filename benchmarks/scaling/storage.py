"""Predicts the bytes on disks and networks that a demand takes; pure."""

from dataclasses import dataclass

from benchmarks.scaling.demand import DAY
from benchmarks.scaling.facts import COMMAND_SETS, VIEW_SETS, Facts
from benchmarks.scaling.planning import OUTCOMES_DAYS, Plan
from triptych.contract.joined import HEAD_ITEMS_MAX

COMMANDS_DAYS, OUTBOX_DAYS, RELAY_DAYS = 7.0, 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes of one kind on all disks together, with all replicas."""

    what: str
    bytes: float
    because: str


def stored(facts: Facts, plan: Plan) -> list[Stored]:
    """What is on disks once everything is as old as it gets, the largest first."""
    demand, sizes = plan.demand, facts.sizes
    copies, items, rate = demand.replication, demand.items_per_gallery, demand.commands_per_second
    records = facts.topic_bytes

    def documents(name: str, count: float) -> float:
        return copies * count * (sizes[name].stored + sizes[name].indexes)

    join = (1 + min(items, HEAD_ITEMS_MAX) / max(1, items)) * items * sizes["item_views"].stored
    found = [
        Stored(
            "galleries and items",
            copies * demand.galleries * facts.stored_bytes(COMMAND_SETS, items),
            "the write model",
        ),
        Stored("views", copies * demand.galleries * facts.stored_bytes(VIEW_SETS, items), "the read model"),
        Stored("joined topic", copies * demand.galleries * join, "each item twice: alone, and in its gallery's head"),
        Stored(
            "events topic",
            copies * rate * demand.events_days * DAY * records["events"],
            f"{demand.events_days:g} days, {records['events']:,.0f} bytes each",
        ),
        Stored(
            "commands topic",
            copies * rate * COMMANDS_DAYS * DAY * records["commands"],
            f"{COMMANDS_DAYS:g} days, {records['commands']:,.0f} bytes each",
        ),
        Stored(
            "outcomes of commands",
            documents("processed_commands", rate * OUTCOMES_DAYS * DAY),
            f"{OUTCOMES_DAYS:g} days (TRIPTYCH_PROCESSED_RETENTION)",
        ),
        Stored(
            "outbox",
            documents("outbox", rate * OUTBOX_DAYS * DAY),
            f"{OUTBOX_DAYS:g} day (TRIPTYCH_OUTBOX_RETENTION)",
        ),
    ]
    if demand.listeners:
        deliveries = documents("deliveries", rate * demand.listeners * RELAY_DAYS * DAY)
        found.append(
            Stored(
                "deliveries and their events",
                deliveries + documents("webhook_events", rate * RELAY_DAYS * DAY),
                f"{RELAY_DAYS:g} days (TRIPTYCH_WEBHOOKS_RETENTION)",
            )
        )
    return sorted(found, key=lambda each: -each.bytes)


def networks(facts: Facts, plan: Plan) -> list[tuple[str, float]]:
    """Bytes a second between parts, by what they are."""
    demand, records = plan.demand, facts.topic_bytes
    rate = demand.commands_per_second
    written = sum(records.values())
    readers = records["commands"] + records["events"] * len(plan.steady) - records["events"]
    per_command = sum(facts.mongod_network[part] for part in plan.steady)
    return [
        ("to brokers", rate * written),
        ("between brokers", rate * written * (demand.replication - 1)),
        ("from brokers to the services", rate * readers),
        ("between MongoDB and the services", rate * per_command),
    ]
