"""Encodes views as records of the joined topic, purely: items first and their gallery last (contract, section 10)."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from triptych.contract.joined import HEAD_BYTES_MAX, HEAD_ITEMS_MAX, count_fitting, gallery_key, item_key
from triptych.projector.view.fold import View

KeyValue: TypeAlias = tuple[bytes, bytes | None]
EncodedItem: TypeAlias = tuple[int, bytes]
"""The sequence of an item's last event, and the item's JSON."""


def head_records(view: View, first_items: Sequence[bytes]) -> list[KeyValue]:
    """The head record of a gallery: a tombstone if the gallery is deleted, and no record if it is not shown yet.

    Args:
        view: the gallery.
        first_items: the JSON of the gallery's first items, in display order.
    """
    if view.is_deleted:
        return [(gallery_key(view.gallery_id), None)]
    if view.is_shown and view.head is not None:
        return [(gallery_key(view.gallery_id), _head_value(view, view.head, first_items))]
    return []


def item_records(view: View, items: Mapping[str, EncodedItem | None]) -> list[KeyValue]:
    """The records of a gallery's items, each with the fields of the gallery.

    Args:
        view: the gallery.
        items: the items by id; None makes a tombstone.
    """
    head = view.open_snapshot.head if view.open_snapshot else view.head
    if head is None:
        return [(item_key(view.gallery_id, item_id), None) for item_id in items]
    gallery = orjson.Fragment(orjson.dumps(head))
    return [
        (item_key(view.gallery_id, item_id), None if item is None else _item_value(view, gallery, item_id, *item))
        for item_id, item in items.items()
    ]


def _item_value(view: View, gallery: orjson.Fragment, item_id: str, sequence: int, encoded: bytes) -> bytes:
    return orjson.dumps(
        {
            "galleryId": view.gallery_id,
            "siteId": view.site_id,
            "itemId": item_id,
            "sequence": sequence,
            "gallery": gallery,
            "item": orjson.Fragment(encoded),
        }
    )


def _head_value(view: View, head: Mapping[str, Any], first_items: Sequence[bytes]) -> bytes:
    gallery = orjson.dumps({**head, "totalItems": view.total_items, "items": []})
    wanted = first_items[:HEAD_ITEMS_MAX]
    count = count_fitting(wanted, HEAD_BYTES_MAX - len(gallery))
    return orjson.dumps(
        {
            "galleryId": view.gallery_id,
            "siteId": view.site_id,
            "sequence": view.sequence,
            "totalItems": view.total_items,
            "gallery": orjson.Fragment(gallery),
            "items": [orjson.Fragment(item) for item in wanted[:count]],
            "itemsTruncated": count < len(wanted),
        }
    )
