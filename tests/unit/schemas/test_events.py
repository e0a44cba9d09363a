"""The six events are built and read (contract, section 6)."""

from typing import Any

import orjson
import pytest

from tests.support.contract_examples import GALLERY_ID, ITEM_ID, NOW, OTHER_ID, complete_gallery, complete_item
from triptych.contract.codec.cloudevents import Reason, Undecodable
from triptych.contract.codec.events import (
    GALLERY_DELETED_ORIGIN,
    Event,
    EventType,
    decode_event,
    gallery_created,
    gallery_deleted,
    gallery_updated,
    item_created,
    item_deleted,
    item_updated,
    slug_of,
)

_GALLERY = complete_gallery(items=[complete_item()]).to_wire()
_BARE_GALLERY = {**_GALLERY, "items": []}
_ITEM = complete_item().to_wire()


def _head(event_type: str, slug: str) -> dict[str, Any]:
    return {
        "eventType": event_type,
        "id": OTHER_ID,
        "entityFqdn": "wix.pro_gallery.v2.gallery",
        "slug": slug,
        "entityId": GALLERY_ID,
        "eventTime": "2024-01-01T12:30:15.123Z",
        "triggeredByAnonymizeRequest": False,
        "originatedFrom": "",
        "entityEventSequence": "7",
    }


_CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str | None]] = [
    (
        gallery_created(OTHER_ID, GALLERY_ID, 7, NOW, _GALLERY),
        _head("wix.pro_gallery.gallery_v2_created", "created") | {"createdEvent": {"entity": _BARE_GALLERY}},
        _BARE_GALLERY,
        None,
    ),
    (
        gallery_updated(OTHER_ID, GALLERY_ID, 7, NOW, _GALLERY),
        _head("wix.pro_gallery.gallery_v2_updated", "updated") | {"updatedEvent": {"currentEntity": _BARE_GALLERY}},
        _BARE_GALLERY,
        None,
    ),
    (
        gallery_deleted(OTHER_ID, GALLERY_ID, 7, NOW),
        _head("wix.pro_gallery.gallery_v2_deleted", "deleted") | {"deletedEvent": {}},
        {},
        None,
    ),
    (
        item_created(OTHER_ID, GALLERY_ID, 7, NOW, _ITEM),
        _head("wix.pro_gallery.gallery_v2_gallery_item_created", "gallery_item_created")
        | {"actionEvent": {"body": {"item": _ITEM}}},
        _ITEM,
        ITEM_ID,
    ),
    (
        item_updated(OTHER_ID, GALLERY_ID, 7, NOW, _ITEM),
        _head("wix.pro_gallery.gallery_v2_gallery_item_updated", "gallery_item_updated")
        | {"actionEvent": {"body": {"updatedItem": _ITEM}}},
        _ITEM,
        ITEM_ID,
    ),
    (
        item_deleted(OTHER_ID, GALLERY_ID, 7, NOW, ITEM_ID),
        _head("wix.pro_gallery.gallery_v2_gallery_item_deleted", "gallery_item_deleted")
        | {"actionEvent": {"body": {"itemId": ITEM_ID}}},
        {},
        ITEM_ID,
    ),
]


@pytest.mark.parametrize(("event", "expected", "body", "item_id"), _CASES, ids=[case[0]["slug"] for case in _CASES])
def test_events_have_the_exact_form_and_are_read_back(
    event: dict[str, Any], expected: dict[str, Any], body: dict[str, Any], item_id: str | None
) -> None:
    assert event == expected
    assert decode_event(orjson.dumps(event)) == Event(
        event_type=EventType(expected["eventType"]),
        id=OTHER_ID,
        gallery_id=GALLERY_ID,
        sequence=7,
        event_time="2024-01-01T12:30:15.123Z",
        originated_from="",
        body=body,
        item_id=item_id,
    )


def test_a_gallery_deletion_marks_its_item_deletions() -> None:
    event = item_deleted(OTHER_ID, GALLERY_ID, 7, NOW, ITEM_ID, originated_from=GALLERY_DELETED_ORIGIN)
    assert decode_event(orjson.dumps(event)).originated_from == "Gallery Deleted"


def test_slugs_are_those_of_the_contract() -> None:
    assert [slug_of(event_type) for event_type in EventType] == [
        "created",
        "updated",
        "deleted",
        "gallery_item_created",
        "gallery_item_updated",
        "gallery_item_deleted",
    ]


_CREATED = gallery_created(OTHER_ID, GALLERY_ID, 7, NOW, _GALLERY)
_REMOVED = object()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eventType": "wix.pro_gallery.v2.gallery_created"}, Reason.UNKNOWN_TYPE),
        ({"eventType": _REMOVED}, Reason.BAD_DATA),
        ({"id": "1"}, Reason.BAD_DATA),
        ({"entityId": None}, Reason.BAD_DATA),
        ({"entityId": OTHER_ID}, Reason.BAD_DATA),
        ({"entityEventSequence": 7}, Reason.BAD_DATA),
        ({"entityEventSequence": "0"}, Reason.BAD_DATA),
        ({"entityEventSequence": "٣"}, Reason.BAD_DATA),
        ({"eventTime": _REMOVED}, Reason.BAD_DATA),
        ({"originatedFrom": 7}, Reason.BAD_DATA),
        ({"createdEvent": _REMOVED}, Reason.BAD_DATA),
        ({"createdEvent": {"entity": "{}"}}, Reason.BAD_DATA),
        ({"createdEvent": {"entity": {}}}, Reason.BAD_DATA),
    ],
)
def test_what_readers_rely_on_is_checked(change: dict[str, Any], reason: Reason) -> None:
    event = {name: part for name, part in {**_CREATED, **change}.items() if part is not _REMOVED}
    with pytest.raises(Undecodable) as caught:
        decode_event(orjson.dumps(event))
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, Reason.TOMBSTONE), (b"{", Reason.NOT_JSON), (b'"\xff"', Reason.NOT_UTF8), (b"[]", Reason.BAD_DATA)],
)
def test_other_bytes_are_not_an_event(value: bytes | None, reason: Reason) -> None:
    with pytest.raises(Undecodable) as caught:
        decode_event(value)
    assert caught.value.reason is reason
