"""The event of a test delivery is one that every reader of events understands."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.unit.webhooks.examples import listener
from triptych.contract.codec.events import EventType, decode_event
from triptych.contract.domain_event import DomainEvent
from triptych.webhooks.store.example_event import example_event

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("event_type", EventType)
def test_it_is_of_the_type_asked_for_and_of_no_gallery_that_is_there(event_type: EventType) -> None:
    somebodys = "4937b26c-0000-4000-8000-000000000000"
    asked = replace(listener(), event_types=frozenset([event_type.value]), gallery_ids=frozenset([somebodys]))
    document = example_event(asked, NOW)
    value = bytes(document["value"])
    DomainEvent.model_validate_json(value)
    event = decode_event(value)
    assert (event.event_type, event.id, event.gallery_id) == (event_type, document["_id"], document["galleryId"])
    assert event.originated_from == "Test"
    assert event.gallery_id != somebodys
    assert "siteId" not in document
