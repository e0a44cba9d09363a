"""Times what a write waits for: the reply to its command, and the read model."""

from prometheus_client import Histogram

# From a few ms to the time limits of the settings, 10 and 5 s by default.
_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
REPLY_SECONDS = Histogram(
    "triptych_gateway_reply_seconds",
    "From the publication of a command to its reply, by outcome: accepted, rejected, or timeout",
    ["outcome"],
    buckets=_BUCKETS,
)
VISIBLE_SECONDS = Histogram(
    "triptych_gateway_visible_seconds",
    "From the reply to a command until the read model shows the write, by outcome: shown, or timeout",
    ["outcome"],
    buckets=_BUCKETS,
)
TIMEOUT = "timeout"
# All series begin at 0, and none is looked up for each request.
_REPLIES = {outcome: REPLY_SECONDS.labels(outcome) for outcome in ("accepted", "rejected", TIMEOUT)}
_SHOWN, _NOT_SHOWN = VISIBLE_SECONDS.labels("shown"), VISIBLE_SECONDS.labels(TIMEOUT)


def observe_reply(outcome: str, seconds: float) -> None:
    """Note the time until a reply with this outcome, or until `TIMEOUT`."""
    _REPLIES[outcome].observe(seconds)


def observe_visibility(seconds: float, *, is_shown: bool) -> None:
    """Note the time until the read model shows a write, or until the gateway waits no longer."""
    (_SHOWN if is_shown else _NOT_SHOWN).observe(seconds)
