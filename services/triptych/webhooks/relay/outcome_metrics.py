"""Counts and times attempts and deliveries, without saying whose they are: listeners are too many for labels."""

from datetime import datetime, timedelta

from prometheus_client import Counter, Histogram

from triptych.webhooks.model.delivery import (
    RESULTS,
    Dead,
    DeathReason,
    Delivered,
    Retry,
    SentRequest,
    Verdict,
    result_of,
)
from triptych.webhooks.store.deliveries import ClaimedDelivery

ATTEMPTS = Counter(
    "triptych_webhook_attempts_total", "Requests to listeners, by result: delivered, or why not", ["result"]
)
DELIVERIES = Counter("triptych_webhook_deliveries_total", "Deliveries that have ended, by outcome", ["outcome"])
# From 0.01 s, when a listener answers at once, to a day of retries.
DELIVERY_SECONDS = Histogram(
    "triptych_webhook_delivery_seconds",
    "From an event to its successful delivery",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600, 86400),
)
# The longest timeout that a listener may have is 30 s.
ATTEMPT_SECONDS = Histogram(
    "triptych_webhook_attempt_seconds",
    "From the beginning of a request to a listener to its response or failure",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
)
# All series begin at 0, and none is looked up for each delivery.
_RESULTS = {result: ATTEMPTS.labels(result) for result in RESULTS}
_DELIVERED, _CANCELLED = DELIVERIES.labels("delivered"), DELIVERIES.labels("cancelled")
_DEAD = {reason: DELIVERIES.labels(f"dead-{reason.value}") for reason in DeathReason}


def count_outcome(claimed: ClaimedDelivery, verdict: Verdict, sent: SentRequest | None, now: datetime) -> None:
    """Count an attempt, if a request was made, and the end of its delivery, if it has ended."""
    if sent is not None:
        _RESULTS[result_of(sent.response, verdict)].inc()
        ATTEMPT_SECONDS.observe(sent.response.seconds)
    match verdict:
        case Delivered():
            _DELIVERED.inc()
            DELIVERY_SECONDS.observe(max(0.0, (now - claimed.occurred_at) / timedelta(seconds=1)))
        case Dead(reason):
            _DEAD[reason].inc()
        case Retry():
            pass


def count_cancelled(deliveries: int) -> None:
    """Count deliveries that were cancelled."""
    _CANCELLED.inc(deliveries)
