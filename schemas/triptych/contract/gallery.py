"""Models of galleries: as a client creates them, as it changes them, and complete."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from triptych.contract.base import Guid, Instant, Patch, SortOrder, WireModel, null_as
from triptych.contract.item import Item, ItemEntry, NewItem

ITEMS_MAX = 500
"""Items in one creation or change of a gallery (D21)."""

Name = Annotated[str, Field(max_length=1000)]


class NewGallery(Patch):
    """What a client sends to create a gallery; every field may be missing. A clone with a null name has none (D23)."""

    name: Name | None = None
    sort_order: SortOrder | None = None
    items: Annotated[tuple[NewItem, ...], Field(max_length=ITEMS_MAX), null_as(())] = ()

    @model_validator(mode="after")
    def _apply_defaults(self) -> Self:
        self._drop_nulls("sort_order")
        return self


class GalleryPatch(Patch):
    """A change of a gallery; `items` are merged by id and never deleted (D6); a null name clears the name (D7)."""

    name: Name | None = None
    sort_order: SortOrder | None = None
    items: Annotated[tuple[ItemEntry, ...], Field(max_length=ITEMS_MAX)] | None = None

    @model_validator(mode="after")
    def _apply_nulls(self) -> Self:
        self._drop_nulls("sort_order", "items")
        return self


class Gallery(WireModel):
    """A complete gallery; `total_items` counts all items; `items` is a page of them (contract, section 3.1)."""

    id: Guid
    name: str | None = None
    total_items: int = 0
    sort_order: SortOrder
    created_date: Instant
    items: list[Item] = Field(default_factory=list)
