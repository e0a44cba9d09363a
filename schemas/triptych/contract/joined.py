"""The records of the joined topic, compacted: a head per gallery, a record per item (contract, section 10)."""

from collections.abc import Sequence

from pydantic import Field

from triptych.contract.base import Guid, Instant, SortOrder, WireModel, parse_guid
from triptych.contract.gallery import Gallery
from triptych.contract.item import Item

HEAD_ITEMS_MAX = 100
"""Items in a head record, in display order."""

HEAD_BYTES_MAX = 900_000
"""Bytes of a head record's gallery and items: below Kafka's limit of 1 MB with room for the other fields."""


class GalleryRecord(WireModel):
    """A gallery with its first items; `items_truncated` tells that some of these first 100 did not fit."""

    gallery_id: Guid
    site_id: str
    sequence: int
    total_items: int
    gallery: Gallery
    items: list[Item] = Field(default_factory=list)
    items_truncated: bool = False


class GalleryHead(WireModel):
    """The fields of a gallery that its items' records repeat.

    The number of items is not among them: it would make every record stale whenever one item comes or goes.
    """

    id: Guid
    name: str | None = None
    sort_order: SortOrder
    created_date: Instant


class ItemRecord(WireModel):
    """An item with its gallery."""

    gallery_id: Guid
    site_id: str
    item_id: Guid
    sequence: int
    gallery: GalleryHead
    item: Item


def gallery_key(gallery_id: str) -> bytes:
    """The key of a gallery's head record."""
    return gallery_id.encode()


def item_key(gallery_id: str, item_id: str) -> bytes:
    """The key of an item's record; its partition is chosen by the gallery's id."""
    return f"{gallery_id}/{item_id}".encode()


def parse_key(key: bytes) -> tuple[str, str | None]:
    """Gallery id and, for an item's record, item id. Raises ValueError for a key of neither form."""
    gallery_id, slash, item_id = key.decode().partition("/")
    return parse_guid(gallery_id), parse_guid(item_id) if slash else None


def count_fitting(items: Sequence[bytes], budget_bytes: int = HEAD_BYTES_MAX) -> int:
    """How many whole items of a head record, given as JSON in display order, fit the budget as an array.

    A cut keeps the order: no later, smaller item fills the room left.
    """
    used = len(b"[]") - len(b",")
    for count, item in enumerate(items):
        used += len(item) + len(b",")
        if used > budget_bytes:
            return count
    return len(items)
