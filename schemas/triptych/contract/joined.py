"""Models of the records of the joined topic: a head record per gallery, a record per item (contract, section 10)."""

from collections.abc import Sequence

from pydantic import Field

from triptych.contract.base import Guid, Instant, SortOrder, WireModel, parse_guid
from triptych.contract.gallery import Gallery
from triptych.contract.item import Item

HEAD_ITEMS_MAX = 100
"""Items in a head record, in display order."""

HEAD_BYTES_MAX = 900_000
"""Bytes of a head record's gallery and items: below Kafka's limit of 1 MB with room for the other fields."""


JOINED_HEADERS = (("content-type", b"application/json"),)
"""The headers of every joined record: it is state, not an event, so it has no CloudEvents attributes."""


class GalleryRecord(WireModel):
    """A gallery with its first items; `items_truncated` says that some of the first 100 items did not fit."""

    gallery_id: Guid
    site_id: str
    sequence: int
    total_items: int
    gallery: Gallery
    items: list[Item] = Field(default_factory=list)
    items_truncated: bool = False


class GalleryHead(WireModel):
    """The fields of a gallery that its items' records repeat.

    The number of items is not one of them: each creation or deletion of an item would make every record outdated.
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
    """The key of an item's record; the gallery's id alone determines the partition."""
    return f"{gallery_id}/{item_id}".encode()


def parse_key(key: bytes) -> tuple[str, str | None]:
    """Gallery id and, for an item's record, item id. Raises ValueError for a key of neither form."""
    gallery_id, slash, item_id = key.decode().partition("/")
    return parse_guid(gallery_id), parse_guid(item_id) if slash else None


def count_fitting(items: Sequence[bytes], budget_bytes: int = HEAD_BYTES_MAX) -> int:
    """How many of the first items, given as JSON in display order, fit into the budget as an array.

    No later, smaller item takes the place of one that does not fit.
    """
    used = len(b"[]") - len(b",")
    for count, item in enumerate(items):
        used += len(item) + len(b",")
        if used > budget_bytes:
            return count
    return len(items)
