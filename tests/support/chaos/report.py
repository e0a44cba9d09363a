"""Prints what a chaos run has done and measured, as the table of docs/guarantees.md has it."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

from tests.support.chaos.history import Fault, Violation
from tests.support.chaos.judging.processes import WORK

SHOWN = 40


def table(faults: Sequence[Fault]) -> str:
    """A row for each fault of each component: median and worst seconds; all repeats, and the most after one fault."""
    groups: dict[tuple[str, str], list[Fault]] = defaultdict(list)
    for fault in faults:
        groups[fault.component, fault.kind].append(fault)
    lines = [
        f"| component | fault | times | {' | '.join(f'next {each}' for each in WORK)} | repeats |",
        "|---" * 8 + "|",
    ]
    for (component, kind), found in sorted(groups.items()):
        waits = [_seconds(waits) for waits in zip(*(fault.recovery for fault in found), strict=True)]
        repeats = [fault.repeats for fault in found]
        row = (component, kind, len(found), *waits, f"{sum(repeats):,}, {max(repeats):,}")
        lines.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join(lines)


def _seconds(waits: Sequence[float | None]) -> str:
    if any(wait is None for wait in waits):
        return "never"
    known = [wait for wait in waits if wait is not None]
    return f"{statistics.median(known):.1f} s, {max(known):.1f} s"


def summary(counts: Mapping[str, int]) -> str:
    """What the run consisted of."""
    return "\n".join(f"{what}: {count:,}" for what, count in counts.items())


def listing(violations: Sequence[Violation]) -> str:
    """The first violations, and how many there are of each promise."""
    counts: dict[str, int] = defaultdict(int)
    for violation in violations:
        counts[violation.promise] += 1
    return "\n".join([f"violations: {dict(counts)}", *map(str, violations[:SHOWN])])
