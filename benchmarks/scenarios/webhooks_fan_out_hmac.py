"""Measures how long one event takes to reach 500 listeners, signed with an HMAC: the relay and a plain POST loop."""

from benchmarks.webhooks_steady import fan_out_scenario

SCENARIO = fan_out_scenario("standard-hmac", listeners=500)
