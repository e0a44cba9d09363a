"""Prints what a chaos run has done and measured, as the table of docs/guarantees.md has it."""

import statistics
from collections import defaultdict
from collections.abc import Sequence

from tests.support.chaos.history import Fault, History, Violation

SHOWN = 40


def table(faults: Sequence[Fault]) -> str:
    """A row for each fault of each component."""
    groups: dict[tuple[str, str], list[Fault]] = defaultdict(list)
    for fault in faults:
        groups[fault.component, fault.kind].append(fault)
    lines = [
        "| component | fault | times | next reply: median, worst | next joined record: median, worst | repeats |",
        "|---|---|---|---|---|---|",
    ]
    for (component, kind), found in sorted(groups.items()):
        waits = [_seconds([fault.reply for fault in found]), _seconds([fault.joined for fault in found])]
        repeats = sum(fault.repeats for fault in found)
        lines.append(f"| {component} | {kind} | {len(found)} | {waits[0]} | {waits[1]} | {repeats} |")
    return "\n".join(lines)


def _seconds(waits: Sequence[float | None]) -> str:
    if any(wait is None for wait in waits):
        return "never"
    known = [wait for wait in waits if wait is not None]
    return f"{statistics.median(known):.1f} s, {max(known):.1f} s"


def summary(history: History, repeats: int) -> str:
    """What the run consisted of."""
    largest = max(history.memory, key=lambda found: found.bytes, default=None)
    counts = {
        "commands": len(history.commands),
        "acknowledged": sum(command.is_acknowledged for command in history.commands),
        "answers": len(history.answers),
        "events": len(history.events),
        "of these repeated": repeats,
        "galleries": len(history.states),
        "joined records": len(history.joined),
        "webhook requests": len(history.deliveries),
        "faults": len(history.faults),
    }
    lines = [f"{what}: {count}" for what, count in counts.items()]
    if largest is not None:
        lines.append(f"largest process: {largest.process}, {largest.bytes >> 20} MiB")
    return "\n".join(lines)


def listing(violations: Sequence[Violation]) -> str:
    """The first violations, and how many there are of each promise."""
    counts: dict[str, int] = defaultdict(int)
    for violation in violations:
        counts[violation.promise] += 1
    return "\n".join([f"violations: {dict(counts)}", *map(str, violations[:SHOWN])])
