"""The records of joined galleries and their bound."""

from typing import Any

import orjson
import pytest

from schemas.joined import GalleryRecord, ItemRecord, bounded_head, gallery_key, item_key, parse_key
from tests.unit.schemas.examples import GALLERY_ID, ITEM_ID, complete_gallery, complete_item

_HEAD = complete_gallery().to_wire()


def _item(size: int) -> dict[str, Any]:
    """An item of exactly this many bytes as JSON."""
    empty = {"id": ITEM_ID, "title": ""}
    return {**empty, "title": "x" * (size - len(orjson.dumps(empty)))}


def test_keys_are_read_back() -> None:
    assert parse_key(gallery_key(GALLERY_ID)) == (GALLERY_ID, None)
    assert parse_key(item_key(GALLERY_ID, ITEM_ID)) == (GALLERY_ID, ITEM_ID)


@pytest.mark.parametrize("key", [b"", b"x", GALLERY_ID.encode() + b"/", f"{GALLERY_ID}/a/b".encode(), b"\xff"])
def test_other_keys_are_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match=r"GUID|utf-8"):
        parse_key(key)


@pytest.mark.parametrize(("count", "kept", "truncated"), [(0, 0, False), (100, 100, False), (101, 100, False)])
def test_small_items_fit_up_to_a_hundred(count: int, kept: int, truncated: bool) -> None:
    items = [_item(100)] * count
    assert bounded_head(_HEAD, items) == (items[:kept], truncated)


def test_the_budget_is_used_to_the_last_byte() -> None:
    items = [_item(100), _item(200), _item(80)]
    exact = len(orjson.dumps(_HEAD)) + len(orjson.dumps(items))
    assert bounded_head(_HEAD, items, exact) == (items, False)
    assert bounded_head(_HEAD, items, exact - 1) == (items[:2], True)


def test_no_smaller_item_overtakes_a_larger_one() -> None:
    items = [_item(100), _item(5000), _item(80)]
    assert bounded_head(_HEAD, items, 2000) == (items[:1], True)


def test_the_largest_items_leave_the_record_below_a_megabyte() -> None:
    items, truncated = bounded_head(_HEAD, [_item(256 * 1024)] * 100)
    assert (len(items), truncated) == (3, True)
    assert len(orjson.dumps([_HEAD, items])) < 900_000


def test_records_survive_the_wire() -> None:
    common = {"galleryId": GALLERY_ID, "siteId": "s", "sequence": 3}
    head = {**common, "totalItems": 2, "gallery": _HEAD, "items": [complete_item().to_wire()], "itemsTruncated": True}
    assert GalleryRecord.model_validate(head).to_wire() == head
    gallery = {name: part for name, part in _HEAD.items() if name not in ("totalItems", "items")}
    item = {**common, "itemId": ITEM_ID, "gallery": gallery, "item": complete_item().to_wire()}
    assert ItemRecord.model_validate(item).to_wire() == item
