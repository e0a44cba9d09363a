"""Makes plain listeners and claimed deliveries for tests."""

from datetime import UTC, datetime
from typing import Any

from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.retries import RetryProfile
from triptych.webhooks.store.deliveries import ClaimedDelivery
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def listener(**fields: Any) -> Listener:
    """A listener to all events of site `s`."""
    plain: dict[str, Any] = {
        "id": "l",
        "site_id": "s",
        "url": "http://127.0.0.1/",
        "event_types": frozenset({"t"}),
        "gallery_ids": None,
        "format": Format.STANDARD_HMAC,
        "retry_profile": RetryProfile.CUSTOM,
        "retry_delays": (1.0,),
        "timeout_seconds": 1.0,
        "rate_limit": None,
        "ordered": False,
        "description": "",
        "status": ListenerStatus.ACTIVE,
        "keys": (),
        "problem": None,
        "failing_since": None,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Listener(**{**plain, **fields})


def claimed(**fields: Any) -> ClaimedDelivery:
    """A claimed delivery."""
    plain: dict[str, Any] = {
        "delivery_id": "d",
        "site_id": "s",
        "listener_id": "l",
        "event_id": "e",
        "gallery_id": "g",
        "occurred_at": NOW,
        "manual": False,
        "ordered": False,
        "attempts": 1,
        "failures": 0,
        "lease": "t",
        "until": 0.0,
        "value": b"{}",
    }
    return ClaimedDelivery(**{**plain, **fields})
