"""Every reader of events understands the event of a test delivery."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.listener_examples import listener
from triptych.contract.codec.events import EventType, decode_event
from triptych.contract.domain_event import DomainEvent
from triptych.webhooks.store.example_event import example_event

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("event_type", EventType)
def test_it_has_the_wanted_type_and_a_gallery_that_does_not_exist(event_type: EventType) -> None:
    existing_gallery_id = "4937b26c-0000-4000-8000-000000000000"
    asking = replace(
        listener(), event_types=frozenset([event_type.value]), gallery_ids=frozenset([existing_gallery_id])
    )
    document = example_event(asking, NOW)
    value = bytes(document["value"])
    DomainEvent.model_validate_json(value)
    event = decode_event(value)
    assert (event.event_type, event.id, event.gallery_id) == (event_type, document["_id"], document["galleryId"])
    assert event.originated_from == "Test"
    assert event.gallery_id != existing_gallery_id
    assert "siteId" not in document
