"""The judge: which promises a history breaks. Pure functions; each violation names its gallery and records."""

from tests.support.chaos.history import History, Violation
from tests.support.chaos.judging import answers, deliveries, events, processes, state


def judge(history: History) -> list[Violation]:
    """All violations of the promises I1 to I10 (docs/architecture/README.md)."""
    checks = (answers.check, events.check, state.check, deliveries.check, processes.check)
    return [violation for check in checks for violation in check(history)]
