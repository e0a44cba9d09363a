"""The six domain events: what they look like, how they are built, and how they are read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

import orjson
from pydantic import Field, model_validator

from schemas.base import Guid, Instant, ViolatedRule, WireModel, broken, format_instant, parse_guid
from schemas.cloudevents import Reason, Undecodable, not_json
from schemas.gallery import Gallery
from schemas.item import Item

ENTITY_FQDN = "wix.pro_gallery.v2.gallery"
"""The name of the entity, the same for all six events."""

GALLERY_DELETED_ORIGIN = "Gallery Deleted"
"""`originatedFrom` of the item deletions that a gallery deletion causes (wire contract, section 6.2)."""


class EventType(StrEnum):
    """The dispatch keys of the client, exact (wire contract, section 6.1)."""

    GALLERY_CREATED = "wix.pro_gallery.gallery_v2_created"
    GALLERY_UPDATED = "wix.pro_gallery.gallery_v2_updated"
    GALLERY_DELETED = "wix.pro_gallery.gallery_v2_deleted"
    ITEM_CREATED = "wix.pro_gallery.gallery_v2_gallery_item_created"
    ITEM_UPDATED = "wix.pro_gallery.gallery_v2_gallery_item_updated"
    ITEM_DELETED = "wix.pro_gallery.gallery_v2_gallery_item_deleted"


_TYPE_PREFIX = "wix.pro_gallery.gallery_v2_"
_EVENT_TYPES = {event_type.value: event_type for event_type in EventType}
_SLUGS = {event_type: event_type.value.removeprefix(_TYPE_PREFIX) for event_type in EventType}
# Where the content is: the one body key and the path below it.
_BODY_PATHS: dict[EventType, tuple[str, ...]] = {
    EventType.GALLERY_CREATED: ("createdEvent", "entity"),
    EventType.GALLERY_UPDATED: ("updatedEvent", "currentEntity"),
    EventType.GALLERY_DELETED: ("deletedEvent",),
    EventType.ITEM_CREATED: ("actionEvent", "body", "item"),
    EventType.ITEM_UPDATED: ("actionEvent", "body", "updatedItem"),
    EventType.ITEM_DELETED: ("actionEvent", "body", "itemId"),
}
_SEQUENCE = re.compile(r"[1-9][0-9]{0,18}")


def slug_of(event_type: EventType) -> str:
    """The slug of an event, such as `gallery_item_created`."""
    return _SLUGS[event_type]


class CreatedEvent(WireModel):
    """The body of a created event."""

    entity: Gallery


class UpdatedEvent(WireModel):
    """The body of an updated event: the gallery after the change."""

    current_entity: Gallery


class DeletedEvent(WireModel):
    """The body of a deleted event: nothing, because the client would hand on dates it has not read."""


class ItemCreatedBody(WireModel):
    """A new item."""

    item: Item


class ItemUpdatedBody(WireModel):
    """An item after the change."""

    updated_item: Item


class ItemDeletedBody(WireModel):
    """An item that is gone."""

    item_id: Guid


Body = TypeVar("Body", bound=WireModel)


class ActionEvent(WireModel, Generic[Body]):
    """The body of an item event."""

    body: Body


class EventHead(WireModel):
    """What all events share; `entity_id` is the gallery's id, for item events too (D17)."""

    event_type: EventType
    id: Guid
    entity_fqdn: Literal["wix.pro_gallery.v2.gallery"]
    slug: str
    entity_id: Guid
    event_time: Instant
    triggered_by_anonymize_request: bool = False
    originated_from: str = ""
    entity_event_sequence: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$")]


class GalleryCreated(EventHead):
    """A gallery was created; its items follow as events of their own."""

    event_type: Literal[EventType.GALLERY_CREATED]
    created_event: CreatedEvent


class GalleryUpdated(EventHead):
    """A gallery's name or sort order changed."""

    event_type: Literal[EventType.GALLERY_UPDATED]
    updated_event: UpdatedEvent


class GalleryDeleted(EventHead):
    """A gallery was deleted, after its items."""

    event_type: Literal[EventType.GALLERY_DELETED]
    deleted_event: DeletedEvent


class ItemCreated(EventHead):
    """An item was created."""

    event_type: Literal[EventType.ITEM_CREATED]
    action_event: ActionEvent[ItemCreatedBody]


class ItemUpdated(EventHead):
    """An item changed."""

    event_type: Literal[EventType.ITEM_UPDATED]
    action_event: ActionEvent[ItemUpdatedBody]


class ItemDeleted(EventHead):
    """An item was deleted."""

    event_type: Literal[EventType.ITEM_DELETED]
    action_event: ActionEvent[ItemDeletedBody]


EVENTS: dict[EventType, type[EventHead]] = {
    EventType.GALLERY_CREATED: GalleryCreated,
    EventType.GALLERY_UPDATED: GalleryUpdated,
    EventType.GALLERY_DELETED: GalleryDeleted,
    EventType.ITEM_CREATED: ItemCreated,
    EventType.ITEM_UPDATED: ItemUpdated,
    EventType.ITEM_DELETED: ItemDeleted,
}
"""The events by type."""


class DomainEvent(EventHead):
    """Any of the six events: exactly one body, the one that belongs to its type (wire contract, section 6.1)."""

    created_event: CreatedEvent | None = None
    updated_event: UpdatedEvent | None = None
    deleted_event: DeletedEvent | None = None
    action_event: ActionEvent[ItemCreatedBody | ItemUpdatedBody | ItemDeletedBody] | None = None

    @model_validator(mode="after")
    def _check_body(self) -> Self:
        bodies = (self.created_event, self.updated_event, self.deleted_event, self.action_event)
        if sum(body is not None for body in bodies) != 1:
            raise broken(ViolatedRule.CUSTOM, "must have exactly one body")
        EVENTS[self.event_type].model_validate(self.to_wire())  # is it the one of this type?
        return self


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


@dataclass(frozen=True, slots=True)
class Event:
    """An event as its readers need it; `body` is the gallery or item in wire form, empty after a deletion."""

    event_type: EventType
    id: str
    gallery_id: str
    sequence: int
    event_time: str
    originated_from: str
    body: dict[str, Any]
    item_id: str | None


def decode_event(value: bytes | None) -> Event:
    """Read an event, checking only what `Event` promises, because every consumer does this for every event.

    Raises Undecodable.
    """
    if value is None:
        raise Undecodable(Reason.TOMBSTONE, "an event has a value")
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise not_json(value, str(error)) from None
    if not isinstance(event, dict):
        raise Undecodable(Reason.BAD_DATA, "an event is a JSON object")
    event_type = _EVENT_TYPES.get(_text(event, "eventType"))
    if event_type is None:
        raise Undecodable(Reason.UNKNOWN_TYPE, f"no event has the type {event['eventType']!r}")
    sequence = _text(event, "entityEventSequence")
    if not _SEQUENCE.fullmatch(sequence):
        raise Undecodable(Reason.BAD_DATA, "entityEventSequence must be a positive number in decimal digits")
    gallery_id = _canonical_guid(event, "entityId")
    content: Any = event
    for step in _BODY_PATHS[event_type]:
        content = content.get(step) if isinstance(content, dict) else None
    body, item_id = _split(event_type, content, gallery_id)
    return Event(
        event_type=event_type,
        id=_canonical_guid(event, "id"),
        gallery_id=gallery_id,
        sequence=int(sequence),
        event_time=_text(event, "eventTime"),
        originated_from=_text(event, "originatedFrom") if "originatedFrom" in event else "",
        body=body,
        item_id=item_id,
    )


def _split(event_type: EventType, content: Any, gallery_id: str) -> tuple[dict[str, Any], str | None]:
    """The content of an event as body and item id."""
    if event_type is EventType.ITEM_DELETED:
        return {}, _canonical_guid({"itemId": content}, "itemId")
    if not isinstance(content, dict):
        raise Undecodable(Reason.BAD_DATA, f"{'.'.join(_BODY_PATHS[event_type])} must be an object")
    if event_type is EventType.GALLERY_DELETED:
        return {}, None
    entity_id = _canonical_guid(content, "id")
    if event_type in (EventType.ITEM_CREATED, EventType.ITEM_UPDATED):
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
        return parse_guid(_text(fields, name))
    except ValueError:
        raise Undecodable(Reason.BAD_DATA, f"{name} must be a GUID") from None
