"""Counts the answers to commands: by name and outcome, and the rejections among them by code."""

from collections import Counter
from collections.abc import Iterable

import prometheus_client

from triptych.contract.commands import COMMANDS as KINDS
from triptych.contract.replies import ErrorCode, Reply

UNREADABLE = "UNREADABLE"
"""Instead of the name of a command that cannot be read."""
COMMANDS = prometheus_client.Counter(
    "triptych_commands_total", "Commands answered; those that cannot be read as UNREADABLE", ["name", "outcome"]
)
REJECTIONS = prometheus_client.Counter("triptych_command_rejections_total", "Commands rejected, by code", ["code"])
# From 0, so that the first of a kind is an increase.
for _name in (*KINDS, UNREADABLE):
    for _outcome in ("accepted", "rejected"):
        COMMANDS.labels(_name, _outcome)
for _code in ErrorCode:
    REJECTIONS.labels(_code.value)


def count_answers(answers: Iterable[tuple[str, Reply]]) -> None:
    """Count the replies to a batch, each given with the name of its command."""
    counted = Counter((name, reply.outcome, reply.error.code if reply.error else None) for name, reply in answers)
    for (name, outcome, code), count in counted.items():
        COMMANDS.labels(name, outcome).inc(count)
        if code is not None:
            REJECTIONS.labels(code.value).inc(count)
