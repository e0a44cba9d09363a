"""Measures how fast events reach one listener, signed with a token: the relay and a plain POST loop."""

from benchmarks.webhooks import scenario

SCENARIO = scenario(listeners=1, events=8_000, dialect="wix-jwt")
