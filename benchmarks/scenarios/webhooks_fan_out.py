"""Measures how long one event takes to reach 500 listeners."""

from functools import partial

from benchmarks.scenario import Scenario
from benchmarks.webhooks_steady import fan_out

LISTENERS = 500

SCENARIO = Scenario(
    name="webhooks-fan-out",
    description=f"one event to {LISTENERS} listeners on loopback, to the last recorded answer",
    variants={
        dialect: partial(fan_out, listeners=LISTENERS, dialect=dialect) for dialect in ("standard-hmac", "wix-jwt")
    },
)
