"""The records of the joined topic, and the limit on their size."""

import orjson
import pytest

from tests.support.contract_examples import GALLERY_ID, ITEM_ID, complete_gallery, complete_item
from triptych.contract.joined import GalleryRecord, ItemRecord, count_fitting, gallery_key, item_key, parse_key

_HEAD = complete_gallery().to_wire()


def test_keys_are_read_back() -> None:
    assert parse_key(gallery_key(GALLERY_ID)) == (GALLERY_ID, None)
    assert parse_key(item_key(GALLERY_ID, ITEM_ID)) == (GALLERY_ID, ITEM_ID)


@pytest.mark.parametrize("key", [b"", b"x", GALLERY_ID.encode() + b"/", f"{GALLERY_ID}/a/b".encode(), b"\xff"])
def test_other_keys_are_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match=r"GUID|utf-8"):
        parse_key(key)


def test_the_budget_is_used_to_the_last_byte() -> None:
    items = [b"1" * size for size in (100, 200, 80)]
    exact = len(orjson.dumps([orjson.Fragment(item) for item in items]))
    assert count_fitting(items, exact) == 3
    assert count_fitting(items, exact - 1) == 2
    assert count_fitting([], 0) == 0


def test_no_smaller_item_overtakes_a_larger_one() -> None:
    assert count_fitting([b"1" * 100, b"1" * 5000, b"1" * 80], 2000) == 1


def test_the_largest_items_leave_the_record_below_a_megabyte() -> None:
    assert count_fitting([b"1" * 256 * 1024] * 100) == 3


def test_records_survive_the_wire() -> None:
    common = {"galleryId": GALLERY_ID, "siteId": "s", "sequence": 3}
    head = {**common, "totalItems": 2, "gallery": _HEAD, "items": [complete_item().to_wire()], "itemsTruncated": True}
    assert GalleryRecord.model_validate(head).to_wire() == head
    gallery = {name: part for name, part in _HEAD.items() if name not in ("totalItems", "items")}
    item = {**common, "itemId": ITEM_ID, "gallery": gallery, "item": complete_item().to_wire()}
    assert ItemRecord.model_validate(item).to_wire() == item
