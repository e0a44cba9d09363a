"""How fast events reach fifty listener(s), signed as HMAC: the relay and a plain POST loop."""

from benchmarks.webhooks import scenario

SCENARIO = scenario(listeners=50, events=300, dialect="standard-hmac")
