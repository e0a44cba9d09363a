"""Decides what a record of the joined topic changes: the rules of docs/consumers.md, on any storage.

The cost of a record does not depend on the size of its gallery.
"""

from typing import Any, NamedTuple

import orjson

from triptych.client.joined.storage import GalleryStorage, Head, ItemState
from triptych.contract.joined import parse_key


class Change(NamedTuple):
    """A gallery has a new state, or was deleted.

    Attributes:
        gallery_id: the gallery.
        site_id: its site; "" if it was deleted before its state was whole.
        sequence: the number of the last event in the new state; None if the gallery was deleted.
    """

    gallery_id: str
    site_id: str
    sequence: int | None


def feed(storage: GalleryStorage, partition: int, key: bytes, value: bytes | None) -> Change | None:
    """Process a record; the change of the gallery that it brought to a new state or deleted, or None.

    Raises ValueError if this is no record of the joined topic (contract, section 10).
    """
    gallery_id, item_id = parse_key(key)
    if storage.is_deleted(gallery_id):
        return None
    head = storage.head(gallery_id)
    if item_id is None and value is None:
        storage.delete(gallery_id)
        return Change(gallery_id, head.site_id if head else "", None)
    head = (head or Head(partition))._replace(partition=partition)
    record = None if value is None else _record(value, "gallery" if item_id is None else "item")
    if item_id is not None:
        head = _with_item(storage, gallery_id, head, item_id, record)
    elif record is not None:
        head = _with_head(head, record)
    return _advance(storage, gallery_id, head)


def whole(storage: GalleryStorage, gallery_id: str, page: int = 500) -> dict[str, Any] | None:
    """The Gallery of the contract, section 3.1, with all its items in display order; None if it does not exist."""
    head = storage.head(gallery_id)
    if head is None or head.gallery is None:
        return None
    items: list[dict[str, Any]] = []
    found = storage.items(gallery_id, None, page)
    while found:
        items += found
        found = storage.items(gallery_id, float(found[-1]["sortOrder"]), page) if len(found) == page else []
    return {**head.gallery, "items": items}


def _record(value: bytes, part: str) -> dict[str, Any]:
    """The record of a gallery or of an item, as `part` says. Raises ValueError if it lacks what the rules need."""
    record = orjson.loads(value)
    if not isinstance(record, dict) or not isinstance(record.get("sequence"), int) or record["sequence"] < 0:
        raise ValueError("a record of the joined topic is an object with a sequence")
    content = record.get(part)
    if not isinstance(content, dict):
        raise ValueError(f"this record of the joined topic has no {part}")
    number = "totalItems" if part == "gallery" else "sortOrder"
    if not isinstance(content.get(number), int | float):
        raise ValueError(f"the {part} of this record of the joined topic has no {number}")
    return record


def _with_head(head: Head, record: dict[str, Any]) -> Head:
    sequence, gallery = record["sequence"], record["gallery"]
    known = (head.sequence, head.gallery) if head.next_sequence < 0 else (head.next_sequence, head.next_gallery)
    if sequence < known[0] or (sequence, gallery) == known:
        return head
    return head._replace(next_sequence=sequence, next_gallery=gallery, site_id=record.get("siteId", ""))


def _with_item(
    storage: GalleryStorage, gallery_id: str, head: Head, item_id: str, record: dict[str, Any] | None
) -> Head:
    known = storage.item(gallery_id, item_id) or ItemState()
    if known.is_removed:
        return head  # the id of a deleted item is never used again
    is_counted = known.next_sequence >= 0 or known.sequence >= 0
    if record is None:
        removed = known._replace(next_sequence=-1, next_item=None, is_removed=True)
        storage.set_item(gallery_id, item_id, removed)
        return head._replace(count=head.count - is_counted)
    sequence, item = record["sequence"], record["item"]
    if is_counted:
        last = (known.next_sequence, known.next_item) if known.next_sequence >= 0 else (known.sequence, known.item)
        if sequence < last[0] or (sequence, item) == last:
            return head
    elif sequence <= head.sequence:
        return head  # the item was deleted before the last whole state
    storage.set_item(gallery_id, item_id, known._replace(next_sequence=sequence, next_item=item))
    return head if is_counted else head._replace(count=head.count + 1)


def _advance(storage: GalleryStorage, gallery_id: str, head: Head) -> Change | None:
    """Move to the next state if all its records have come; returns the change if there is one."""
    has_next = head.next_gallery is not None
    sequence = head.next_sequence if has_next else head.sequence
    gallery = head.next_gallery if has_next else head.gallery
    highest = storage.highest_pending(gallery_id)
    is_whole = gallery is not None and highest <= sequence and head.count == gallery.get("totalItems")
    if gallery is None or not is_whole or (not has_next and highest < 0):
        storage.set_head(gallery_id, head)
        return None
    storage.show_pending(gallery_id, forget_removed=sequence > head.sequence)
    shown = head._replace(sequence=sequence, gallery=gallery, next_sequence=-1, next_gallery=None)
    storage.set_head(gallery_id, shown)
    return Change(gallery_id, head.site_id, sequence)
