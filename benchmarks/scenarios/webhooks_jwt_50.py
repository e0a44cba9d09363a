"""Measures how fast events reach 50 listeners, signed with a token: the relay and a plain POST loop."""

from benchmarks.webhooks import scenario

SCENARIO = scenario(listeners=50, events=300, dialect="wix-jwt")
