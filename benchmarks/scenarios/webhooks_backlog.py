"""Measures whether memory and speed depend on the number of due deliveries."""

from functools import partial

from benchmarks.scenario import Scenario
from benchmarks.webhooks import backlog

SENT = 10_000

SCENARIO = Scenario(
    name="webhooks-backlog",
    description=f"the first {SENT:,} of 10,000 and of 1,000,000 due deliveries to one listener",
    variants={str(due): partial(backlog, due=due, sent=SENT) for due in (10_000, 1_000_000)},
)
