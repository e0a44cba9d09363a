"""Builds and reads domain events, at low cost per event (their models are in `triptych.contract.domain_event`)."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from triptych.contract.base import format_instant, parse_guid
from triptych.contract.codec.cloudevents import ID_MAX, Reason, Undecodable, not_json
from triptych.contract.domain_event import DomainEvent, EventType, slug_of
from triptych.contract.limits import EVENT_BYTES_MAX

__all__ = [
    "ENTITY_FQDN",
    "GALLERY_DELETED_ORIGIN",
    "DomainEvent",
    "Event",
    "EventType",
    "decode_event",
    "gallery_created",
    "gallery_deleted",
    "gallery_updated",
    "item_created",
    "item_deleted",
    "item_updated",
    "slug_of",
]

ENTITY_FQDN = "wix.pro_gallery.v2.gallery"
"""The name of the entity, the same for all six events."""

GALLERY_DELETED_ORIGIN = "Gallery Deleted"
"""`originatedFrom` of the item deletions that a gallery deletion causes (contract, section 6.2)."""

_EVENT_TYPES = {event_type.value: event_type for event_type in EventType}
_SLUGS = {event_type: slug_of(event_type) for event_type in EventType}
# The path of an event's content; it begins with the key of the body.
_BODY_PATHS: dict[EventType, tuple[str, ...]] = {
    EventType.GALLERY_CREATED: ("createdEvent", "entity"),
    EventType.GALLERY_UPDATED: ("updatedEvent", "currentEntity"),
    EventType.GALLERY_DELETED: ("deletedEvent",),
    EventType.ITEM_CREATED: ("actionEvent", "body", "item"),
    EventType.ITEM_UPDATED: ("actionEvent", "body", "updatedItem"),
    EventType.ITEM_DELETED: ("actionEvent", "body", "itemId"),
}
_SEQUENCE = re.compile(r"[1-9][0-9]{0,18}")
# In Python 3.11, the name of a class's member costs 0.1 us where a name of the module costs nothing.
_WITH_ITEM = (EventType.ITEM_CREATED, EventType.ITEM_UPDATED)
_ITEM_DELETED, _GALLERY_DELETED = EventType.ITEM_DELETED, EventType.GALLERY_DELETED


def gallery_created(
    event_id: str, gallery_id: str, sequence: int, at: datetime, body: Mapping[str, Any], originated_from: str = ""
) -> dict[str, Any]:
    """The event of a new gallery, from `Gallery.to_wire()`; its items are left out (D19)."""
    content = {"entity": {**body, "items": []}}
    return _event(EventType.GALLERY_CREATED, event_id, gallery_id, sequence, at, content, originated_from)


def gallery_updated(
    event_id: str, gallery_id: str, sequence: int, at: datetime, body: Mapping[str, Any], originated_from: str = ""
) -> dict[str, Any]:
    """The event of a changed gallery, from `Gallery.to_wire()` after the change; its items are left out (D19)."""
    content = {"currentEntity": {**body, "items": []}}
    return _event(EventType.GALLERY_UPDATED, event_id, gallery_id, sequence, at, content, originated_from)


def gallery_deleted(
    event_id: str, gallery_id: str, sequence: int, at: datetime, originated_from: str = ""
) -> dict[str, Any]:
    """The event of a deleted gallery."""
    return _event(EventType.GALLERY_DELETED, event_id, gallery_id, sequence, at, {}, originated_from)


def item_created(
    event_id: str, gallery_id: str, sequence: int, at: datetime, body: Mapping[str, Any], originated_from: str = ""
) -> dict[str, Any]:
    """The event of a new item, from `Item.to_wire()`."""
    content = {"body": {"item": body}}
    return _event(EventType.ITEM_CREATED, event_id, gallery_id, sequence, at, content, originated_from)


def item_updated(
    event_id: str, gallery_id: str, sequence: int, at: datetime, body: Mapping[str, Any], originated_from: str = ""
) -> dict[str, Any]:
    """The event of a changed item, from `Item.to_wire()` after the change."""
    content = {"body": {"updatedItem": body}}
    return _event(EventType.ITEM_UPDATED, event_id, gallery_id, sequence, at, content, originated_from)


def item_deleted(
    event_id: str, gallery_id: str, sequence: int, at: datetime, item_id: str, originated_from: str = ""
) -> dict[str, Any]:
    """The event of a deleted item; with `GALLERY_DELETED_ORIGIN` if its gallery was deleted."""
    content = {"body": {"itemId": item_id}}
    return _event(EventType.ITEM_DELETED, event_id, gallery_id, sequence, at, content, originated_from)


def _event(
    event_type: EventType,
    event_id: str,
    gallery_id: str,
    sequence: int,
    at: datetime,
    content: dict[str, Any],
    originated_from: str,
) -> dict[str, Any]:
    return {
        "eventType": event_type.value,
        "id": event_id,
        "entityFqdn": ENTITY_FQDN,
        "slug": _SLUGS[event_type],
        "entityId": gallery_id,
        "eventTime": format_instant(at),
        "triggeredByAnonymizeRequest": False,
        "originatedFrom": originated_from,
        "entityEventSequence": str(sequence),
        _BODY_PATHS[event_type][0]: content,
    }


class Event(NamedTuple):
    """An event as its readers need it; `body` is the gallery or item in wire form, empty for a deletion."""

    event_type: EventType
    id: str
    gallery_id: str
    sequence: int
    event_time: str
    originated_from: str
    body: dict[str, Any]
    item_id: str | None


def decode_event(value: bytes | None) -> Event:
    """Read an event. Only the fields of `Event` are checked, because every consumer reads every event.

    Raises Undecodable.
    """
    if value is None:
        raise Undecodable(Reason.TOMBSTONE, "an event has a value")
    if len(value) > EVENT_BYTES_MAX:
        raise Undecodable(Reason.TOO_LARGE, f"an event has at most {EVENT_BYTES_MAX} bytes, uncompressed")
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise not_json(value, str(error)) from None
    if not isinstance(event, dict):
        raise Undecodable(Reason.BAD_DATA, "an event is a JSON object")
    event_type = _EVENT_TYPES.get(_text(event, "eventType"))
    if event_type is None:
        raise Undecodable(Reason.UNKNOWN_TYPE, f"no event has the type {event['eventType'][:ID_MAX]!r}")
    sequence = _text(event, "entityEventSequence")
    if not _SEQUENCE.fullmatch(sequence):
        raise Undecodable(Reason.BAD_DATA, "entityEventSequence must be a positive number in decimal digits")
    gallery_id = _canonical_guid(event, "entityId")
    content: Any = event
    for name in _BODY_PATHS[event_type]:
        content = content.get(name) if isinstance(content, dict) else None
    body, item_id = _split(event_type, content, gallery_id)
    return Event(
        event_type,
        _canonical_guid(event, "id"),
        gallery_id,
        int(sequence),
        _text(event, "eventTime"),
        _text(event, "originatedFrom") if "originatedFrom" in event else "",
        body,
        item_id,
    )


def _split(event_type: EventType, content: Any, gallery_id: str) -> tuple[dict[str, Any], str | None]:
    """The body and the item id in the content of an event."""
    if event_type is _ITEM_DELETED:
        return {}, _canonical_guid({"itemId": content}, "itemId")
    if not isinstance(content, dict):
        raise Undecodable(Reason.BAD_DATA, f"{'.'.join(_BODY_PATHS[event_type])} must be an object")
    if event_type is _GALLERY_DELETED:
        return {}, None
    entity_id = _canonical_guid(content, "id")
    if event_type in _WITH_ITEM:
        return content, entity_id
    if entity_id != gallery_id:
        raise Undecodable(Reason.BAD_DATA, "entityId must be the id of the gallery inside")
    return content, None


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise Undecodable(Reason.BAD_DATA, f"{name} must be text")
    return value


def _canonical_guid(fields: Mapping[str, Any], name: str) -> str:
    try:
        return parse_guid(fields.get(name))  # type: ignore[arg-type]
    except TypeError:
        raise Undecodable(Reason.BAD_DATA, f"{name} must be text") from None
    except ValueError:
        raise Undecodable(Reason.BAD_DATA, f"{name} must be a GUID") from None
