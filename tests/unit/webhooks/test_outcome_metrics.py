"""Attempts and ends of deliveries are counted under few names. No name comes from a listener."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from tests.support.listener_examples import claimed
from triptych.webhooks.model.delivery import (
    RESULTS,
    AttemptFailure,
    Dead,
    DeathReason,
    Delivered,
    ListenerResponse,
    Retry,
    SentRequest,
    Verdict,
    result_of,
)
from triptych.webhooks.relay.outcome_metrics import count_outcome

NOW = datetime(2026, 11, 27, tzinfo=UTC)
RETRY = Retry(NOW)


@pytest.mark.parametrize(
    ("response", "verdict", "result"),
    [
        (ListenerResponse(200), Delivered(), "delivered"),
        (ListenerResponse(204), RETRY, "status-2xx"),  # for the format of Wix, only 200 is a success
        (ListenerResponse(301), RETRY, "status-3xx"),
        (ListenerResponse(410), Dead(DeathReason.GONE), "status-4xx"),
        (ListenerResponse(503), RETRY, "status-5xx"),
        (ListenerResponse(999), RETRY, "status-other"),
        *((ListenerResponse(None, failure), RETRY, failure.value) for failure in AttemptFailure),
    ],
)
def test_the_result_of_an_attempt_is_one_of_a_few(response: ListenerResponse, verdict: Verdict, result: str) -> None:
    assert result_of(response, verdict) == result
    assert result in RESULTS


def value(name: str, **labels: str) -> float:
    found = REGISTRY.get_sample_value(f"triptych_webhook_{name}", labels)
    assert found is not None, f"{name} {labels} has no value before it occurs"
    return found


def test_an_attempt_and_the_end_of_its_delivery_are_counted() -> None:
    def counts() -> list[float]:
        return [
            value("attempts_total", result="delivered"),
            value("attempts_total", result="timeout"),
            value("deliveries_total", outcome="delivered"),
            value("deliveries_total", outcome="dead-exhausted"),
            value("deliveries_total", outcome="dead-event-expired"),
            value("attempt_seconds_count"),
        ]

    before = counts()
    delivery = claimed()
    success = SentRequest("u", {}, ListenerResponse(200, seconds=0.2))
    timeout = SentRequest("u", {}, ListenerResponse(None, AttemptFailure.TIMEOUT, seconds=10))
    count_outcome(delivery, Delivered(), success, delivery.occurred_at + timedelta(seconds=1))
    count_outcome(delivery, RETRY, timeout, NOW)
    count_outcome(delivery, Dead(DeathReason.EXHAUSTED), timeout, NOW)
    count_outcome(delivery, Dead(DeathReason.EVENT_EXPIRED), None, NOW)  # no request was made
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 2, 1, 1, 1, 3]
