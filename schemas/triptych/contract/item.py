"""Models of items: as a client creates them, as it changes them, and complete."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, model_validator

from triptych.contract.base import TEXT_MAX, Guid, Instant, Patch, SortOrder, ViolatedRule, WireModel, broken, null_as
from triptych.contract.media import Image, Text, Video

ITEM_BYTES_MAX = TEXT_MAX
"""Bytes of an item as JSON (D21); such an item fits well into a Kafka message."""

MEDIA = ("image", "video", "text")

FREE_FORM_PATHS = (("image", "exif"), ("text", "css"))
"""The field paths of an item's free-form objects: medium and field (contract, sections 3.3 and 3.5)."""

SMALL = "small"
"""Key of the validation context which says that the whole body is too small to have an item beyond the limit."""

SMALL_BYTES = ITEM_BYTES_MAX // 4
"""Items of a body up to this size stay within the limit: numbers grow by less than a factor of 4 when written out."""

Title = Annotated[str, Field(max_length=1000)]
Description = Annotated[str, Field(max_length=10_000)]


Tag = Annotated[str, Field(max_length=200)]


class ItemType(StrEnum):
    """Which medium an item has; the server derives it."""

    UNDEFINED = "UNDEFINED"
    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    TEXT = "TEXT"


class Link(WireModel):
    """The target of a click on the item."""

    text: str | None = None
    url: str | None = None


class Tags(WireModel):
    """Words for searching; `values` is always a list."""

    values: Annotated[tuple[Tag, ...], Field(max_length=100), null_as(())] = ()


def _check_size(item: WireModel, info: ValidationInfo) -> None:
    if info.context and info.context.get(SMALL):
        return
    if len(item.to_json()) > ITEM_BYTES_MAX:
        raise broken(
            ViolatedRule.MAX_SIZE,
            f"must be at most {ITEM_BYTES_MAX} bytes as JSON",
            data={"threshold": ITEM_BYTES_MAX},
        )


def _check_tags(item: "NewItem | ItemPatch") -> None:
    """Refuse an empty tag, since no query can name one. Stored items that have one keep it."""
    if item.tags is not None and "" in item.tags.values:
        raise broken(
            ViolatedRule.CUSTOM,
            "must not be empty",
            field=f"tags.values[{item.tags.values.index('')}]",
        )


def _refuse_media() -> Exception:
    expected = "exactly one of image, video, text"
    return broken(ViolatedRule.CUSTOM, f"must have {expected}", data={"expected": expected})


class NewItem(WireModel):
    """What a client sends to create an item: exactly one medium (D10); server fields are ignored (D13)."""

    sort_order: SortOrder | None = None
    title: Title | None = None
    description: Description | None = None
    link: Link | None = None
    image: Image | None = None
    video: Video | None = None
    text: Text | None = None
    tags: Tags | None = None

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        if (self.image is None) + (self.video is None) + (self.text is None) != 2:
            raise _refuse_media()
        _check_tags(self)
        _check_size(self, info)
        return self


class ItemPatch(Patch):
    """A change of an item: fields in `model_fields_set` change, null clears a field (D7), a medium is replaced (D10).

    A null `sortOrder` or medium counts as absent.
    """

    sort_order: SortOrder | None = None
    title: Title | None = None
    description: Description | None = None
    link: Link | None = None
    image: Image | None = None
    video: Video | None = None
    text: Text | None = None
    tags: Tags | None = None

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        self._drop_nulls("sort_order", *MEDIA)
        if (self.image is None) + (self.video is None) + (self.text is None) < 2:
            expected = "at most one of image, video, text"
            raise broken(ViolatedRule.CUSTOM, f"must have {expected}", data={"expected": expected})
        _check_tags(self)
        _check_size(self, info)
        return self


class ItemEntry(ItemPatch):
    """An item in an update of a gallery: changes the item with this `id`, or creates one if there is none (D6)."""

    id: Guid | None = None

    @model_validator(mode="after")
    def _check_new(self) -> Self:
        self._drop_nulls("id")
        if self.id is None and all(getattr(self, medium) is None for medium in MEDIA):
            raise _refuse_media()
        return self

    def to_new_item(self) -> NewItem:
        """The item that this entry creates when the gallery has no item with its id.

        Raises pydantic.ValidationError if it has no medium.
        """
        return NewItem(**{name: getattr(self, name) for name in NewItem.model_fields})


class Item(WireModel):
    """A complete item, the same in responses and events; `type` is derived from the medium (contract, section 3.2)."""

    id: Guid
    sort_order: SortOrder
    title: str | None = None
    description: str | None = None
    link: Link | None = None
    type: ItemType = ItemType.UNDEFINED
    image: Image | None = None
    video: Video | None = None
    text: Text | None = None
    created_date: Instant
    updated_date: Instant
    tags: Tags | None = None

    @model_validator(mode="after")
    def _derive_type(self) -> Self:
        if self.image is not None:
            return self._normalise(type=ItemType.IMAGE)
        if self.video is not None:
            return self._normalise(type=ItemType.VIDEO)
        if self.text is not None:
            return self._normalise(type=ItemType.TEXT)
        return self
