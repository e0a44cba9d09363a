"""Records of the joined topic, as short as readers accept them."""

from typing import Any

import orjson

from triptych.contract.joined import gallery_key, item_key

JoinedRecord = tuple[bytes, bytes | None]
"""Key and value."""


def head(gallery_id: str, sequence: int, total_items: int, name: str = "G", site_id: str = "default") -> JoinedRecord:
    """A head record."""
    gallery = {"id": gallery_id, "name": name, "totalItems": total_items}
    return gallery_key(gallery_id), orjson.dumps({"sequence": sequence, "siteId": site_id, "gallery": gallery})


def item(gallery_id: str, item_id: str, sequence: int, sort_order: float = 1, **fields: Any) -> JoinedRecord:
    """An item record."""
    value = {"sequence": sequence, "item": {"id": item_id, "sortOrder": sort_order, **fields}}
    return item_key(gallery_id, item_id), orjson.dumps(value)


def no_head(gallery_id: str) -> JoinedRecord:
    """The tombstone of a gallery."""
    return gallery_key(gallery_id), None


def no_item(gallery_id: str, item_id: str) -> JoinedRecord:
    """The tombstone of an item."""
    return item_key(gallery_id, item_id), None
