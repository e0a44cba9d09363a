"""Measures how a hanging and a refusing listener affect the latency of a good one."""

from functools import partial

from benchmarks.scenario import Scenario
from benchmarks.webhooks_steady import steady

EVENTS, PER_SECOND = 1_500, 100.0

SCENARIO = Scenario(
    name="webhooks-isolation",
    description=f"{EVENTS:,} events at {PER_SECOND:g}/s to one listener, alone and with two in trouble",
    variants={
        "alone": partial(steady, events=EVENTS, per_second=PER_SECOND, troubled=False),
        "beside-trouble": partial(steady, events=EVENTS, per_second=PER_SECOND, troubled=True),
    },
)
