"""Makes the records of the join from views, purely: items first and their gallery last (design, section 2)."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from schemas.joined import bounded_head, gallery_key, item_key
from services.projector.projection import ItemView, View

KeyValue: TypeAlias = tuple[bytes, bytes | None]


def join(view: View, first_items: Sequence[Mapping[str, Any]], items: Mapping[str, ItemView | None]) -> list[KeyValue]:
    """The records of a gallery and of those `items` of it, by id, that may have changed.

    Args:
        view: the gallery; if it is deleted, its record is a tombstone.
        first_items: the wire forms of its first items in display order.
        items: None, or a view whose item is None, makes a tombstone.
    """
    records = [_item_record(view, item_id, item) for item_id, item in items.items()]
    records.append((gallery_key(view.gallery_id), _head_value(view, first_items)))
    return records


def _head_value(view: View, first_items: Sequence[Mapping[str, Any]]) -> bytes | None:
    if view.head is None:
        return None
    gallery = {**view.head, "totalItems": view.total_items, "items": []}
    items, truncated = bounded_head(gallery, first_items)
    return orjson.dumps(
        {
            "galleryId": view.gallery_id,
            "siteId": view.site_id,
            "sequence": view.sequence,
            "totalItems": view.total_items,
            "gallery": gallery,
            "items": items,
            "itemsTruncated": truncated,
        }
    )


def _item_record(view: View, item_id: str, item: ItemView | None) -> KeyValue:
    key = item_key(view.gallery_id, item_id)
    if view.head is None or item is None or item.item is None:
        return key, None
    value = {
        "galleryId": view.gallery_id,
        "siteId": view.site_id,
        "itemId": item_id,
        "sequence": item.sequence,
        "gallery": view.head,
        "item": item.item,
    }
    return key, orjson.dumps(value)
