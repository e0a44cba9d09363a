"""Judges the processes (I9, I10): memory within its limit, work after each fault, and nothing left over at the end."""

from collections.abc import Iterator, Sequence

from tests.support.chaos.history import Fault, History, Violation

WORK = ("reply", "joined record", "answer over HTTP", "delivery")
"""What a recovery consists of."""

MOST_REPEATS = 7_000
"""Events that may be repeated because of one fault (docs/guarantees.md): 2,000 of a transaction on each of three
partitions, and those of 0.1 s."""


def check(history: History) -> Iterator[Violation]:
    """Violations of I9 and I10, and what is left over: a change that is not published breaks I2, other work I10."""
    for process, used in history.memory:
        if used > history.memory_limit:
            yield Violation("I9", f"{process} had {used >> 20} MiB, more than {history.memory_limit >> 20} MiB")
    for number, fault in enumerate(history.faults, 1):
        for what, seconds in zip(WORK, fault.recovery, strict=True):
            if seconds is None:
                yield Violation("I10", f"no {what} after fault {number}, {fault.kind} of {fault.component}")
    for name in history.unready:
        yield Violation("I10", name)
    for what, count in history.left_over.items():
        if count:
            yield Violation("I2" if what.startswith("outbox") else "I10", f"left over: {what} ({count})")
    for letter in history.dead_letters:
        yield Violation("I10", f"a record of ours is a dead letter: {letter}")


def check_repeats(faults: Sequence[Fault]) -> Iterator[Violation]:
    """Violations of the bound on repeats, which belongs to I2; call it when they are counted."""
    for number, fault in enumerate(faults, 1):
        if fault.repeats > MOST_REPEATS:
            what = f"{fault.repeats} events were repeated after fault {number}, {fault.kind} of {fault.component}"
            yield Violation("I2", what)
