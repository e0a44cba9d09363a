"""Models of the six domain events that consumers may rely on (contract, section 6)."""

from enum import StrEnum
from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import Field, model_validator

from triptych.contract.base import Guid, Instant, ViolatedRule, WireModel, broken
from triptych.contract.gallery import Gallery
from triptych.contract.item import Item


class EventType(StrEnum):
    """The event types, exactly as the client dispatches on them (contract, section 6.1)."""

    GALLERY_CREATED = "wix.pro_gallery.gallery_v2_created"
    GALLERY_UPDATED = "wix.pro_gallery.gallery_v2_updated"
    GALLERY_DELETED = "wix.pro_gallery.gallery_v2_deleted"
    ITEM_CREATED = "wix.pro_gallery.gallery_v2_gallery_item_created"
    ITEM_UPDATED = "wix.pro_gallery.gallery_v2_gallery_item_updated"
    ITEM_DELETED = "wix.pro_gallery.gallery_v2_gallery_item_deleted"


_TYPE_PREFIX = "wix.pro_gallery.gallery_v2_"


def slug_of(event_type: EventType) -> str:
    """The slug of an event, such as `gallery_item_created`."""
    return event_type.value.removeprefix(_TYPE_PREFIX)


class CreatedEvent(WireModel):
    """The body of a created event."""

    entity: Gallery


class UpdatedEvent(WireModel):
    """The body of an updated event: the gallery after the change."""

    current_entity: Gallery


class DeletedEvent(WireModel):
    """The body of a deleted event: empty, because the client would pass on dates without converting them."""


class ItemCreatedBody(WireModel):
    """A new item."""

    item: Item


class ItemUpdatedBody(WireModel):
    """An item after the change."""

    updated_item: Item


class ItemDeletedBody(WireModel):
    """The id of an item that was deleted."""

    item_id: Guid


Body = TypeVar("Body", bound=WireModel)


class ActionEvent(WireModel, Generic[Body]):
    """The body of an item event."""

    body: Body


class EventHead(WireModel):
    """The fields of all events; `entity_id` is the gallery's id, for item events too (D17)."""

    event_type: EventType
    id: Guid
    entity_fqdn: Literal["wix.pro_gallery.v2.gallery"]
    slug: str
    entity_id: Guid
    event_time: Instant
    triggered_by_anonymize_request: bool = False
    originated_from: str = ""
    entity_event_sequence: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$")]

    @model_validator(mode="after")
    def _check_slug(self) -> Self:
        if self.slug != slug_of(self.event_type):
            raise broken(ViolatedRule.CUSTOM, "must be the slug of the event's type", field="slug")
        return self


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
    """Any of the six events. It has exactly one body, which belongs to its type (contract, section 6.1)."""

    created_event: CreatedEvent | None = None
    updated_event: UpdatedEvent | None = None
    deleted_event: DeletedEvent | None = None
    action_event: ActionEvent[ItemCreatedBody | ItemUpdatedBody | ItemDeletedBody] | None = None

    @model_validator(mode="after")
    def _check_body(self) -> Self:
        bodies = (self.created_event, self.updated_event, self.deleted_event, self.action_event)
        if sum(body is not None for body in bodies) != 1:
            raise broken(ViolatedRule.CUSTOM, "must have exactly one body")
        EVENTS[self.event_type].model_validate(self.to_wire())  # raises if the body belongs to another type
        return self
