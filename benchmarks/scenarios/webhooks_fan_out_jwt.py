"""Measures how long one event takes to reach 500 listeners, signed with a token: the relay and a plain POST loop."""

from benchmarks.webhooks_steady import fan_out_scenario

SCENARIO = fan_out_scenario("wix-jwt", listeners=500)
