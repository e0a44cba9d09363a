"""The fast reader of events and the models of events accept the same events."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.support.contract_examples import (
    GALLERY_ID,
    IMAGE_ITEM,
    ITEM_ID,
    NOW,
    OTHER_ID,
    TEXT_ITEM,
    VIDEO_ITEM,
    VIMEO_ITEM,
    complete_gallery,
    complete_item,
)
from triptych.contract.base import format_instant
from triptych.contract.codec.events import (
    EventType,
    decode_event,
    gallery_created,
    gallery_deleted,
    gallery_updated,
    item_created,
    item_deleted,
    item_updated,
)
from triptych.contract.domain_event import EVENTS, DomainEvent


def _events(sequence: int, item: dict[str, Any], name: str | None, origin: str) -> list[dict[str, Any]]:
    gallery = complete_gallery(name=name, total_items=sequence).to_wire()
    body = complete_item(item).to_wire()
    head = (OTHER_ID, GALLERY_ID, sequence, NOW)
    return [
        gallery_created(*head, gallery, origin),
        gallery_updated(*head, gallery, origin),
        gallery_deleted(*head, origin),
        item_created(*head, body, origin),
        item_updated(*head, body, origin),
        item_deleted(*head, ITEM_ID, origin),
    ]


@given(
    st.integers(1, 2**63 - 1),
    st.sampled_from([IMAGE_ITEM, VIDEO_ITEM, VIMEO_ITEM, TEXT_ITEM]),
    st.none() | st.text(max_size=20),
    st.sampled_from(["", "Gallery Deleted"]),
)
def test_reader_and_model_agree_on_every_event_that_is_built(
    sequence: int, item: dict[str, Any], name: str | None, origin: str
) -> None:
    for wire in _events(sequence, item, name, origin):
        value = orjson.dumps(wire)
        fast, model = decode_event(value), DomainEvent.model_validate_json(value)
        assert (fast.event_type, fast.id, fast.gallery_id) == (model.event_type, model.id, model.entity_id)
        assert str(fast.sequence) == model.entity_event_sequence
        assert fast.event_time == format_instant(model.event_time)
        assert fast.originated_from == model.originated_from
        assert model.to_wire() == wire
        assert EVENTS[fast.event_type].model_validate_json(value).to_wire() == wire


def test_every_type_has_its_model() -> None:
    assert set(EVENTS) == set(EventType)


@pytest.mark.parametrize(
    "change",
    [
        {"deletedEvent": {}},
        {"createdEvent": None},
        {"eventType": EventType.GALLERY_DELETED},
        {"eventType": EventType.GALLERY_UPDATED, "slug": "updated"},
        {"slug": "deleted"},
        {"entityEventSequence": "07"},
    ],
)
def test_models_refuse_a_body_that_is_not_of_the_type(change: dict[str, Any]) -> None:
    event = gallery_created(OTHER_ID, GALLERY_ID, 7, NOW, complete_gallery().to_wire())
    with pytest.raises(ValidationError):
        DomainEvent.model_validate({**event, **change})
