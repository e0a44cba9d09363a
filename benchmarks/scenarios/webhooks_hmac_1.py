"""Measures how fast events reach one listener, signed with an HMAC: the relay and a plain POST loop."""

from benchmarks.webhooks import scenario

SCENARIO = scenario(listeners=1, events=10_000, dialect="standard-hmac")
