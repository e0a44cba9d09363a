"""The reference library of Standard Webhooks verifies what the relay signs, and our verifier what the library signs."""

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.tools.cases import SECRET, Case, webhooks
from triptych.client.webhooks import InvalidDelivery, WebhookVerifier


def _verdict_of_library(case: Case) -> bool:
    try:
        Webhook(case["secret"]).verify(case["body"], case["headers"])
    except WebhookVerificationError:
        return False
    return True


def _verdict_of_ours(case: Case) -> bool:
    try:
        WebhookVerifier(case["secret"]).verify(case["headers"], case["body"].encode())
    except InvalidDelivery:
        return False
    return True


NAMES = [case["name"] for case in webhooks()]


@pytest.mark.parametrize("name", NAMES)
def test_the_library_and_our_verifier_accept_genuine_deliveries_alone(name: str) -> None:
    # They are signed now: collecting the tests may have been long ago.
    (case,) = [case for case in webhooks() if case["name"] == name]
    assert (_verdict_of_library(case), _verdict_of_ours(case)) == (case["genuine"], case["genuine"])


def test_our_verifier_accepts_what_the_library_signs() -> None:
    (case,) = [case for case in webhooks() if case["name"] == "one secret"]
    at = datetime.now(UTC)
    event_id = case["headers"]["webhook-id"]
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(event_id, at, case["body"]),
    }
    assert WebhookVerifier(SECRET).verify(headers, case["body"].encode()).event.id == event_id
