"""Items and galleries: created, changed and complete."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.contract_examples import GALLERY, IMAGE_ITEM, ITEM_ID, TEXT_ITEM, VIDEO_ITEM, complete_item
from triptych.contract.gallery import GalleryPatch, NewGallery
from triptych.contract.item import ITEM_BYTES_MAX, SMALL, SMALL_BYTES, Item, ItemEntry, ItemPatch, NewItem, Tags
from triptych.contract.violations import violations_of


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": "no medium"},
        {"image": None},
        {"image": IMAGE_ITEM["image"], "text": TEXT_ITEM["text"]},
        {**TEXT_ITEM, "title": "x" * 1001},
        {**TEXT_ITEM, "description": "x" * 10_001},
        {**TEXT_ITEM, "tags": {"values": ["t"] * 101}},
        {**TEXT_ITEM, "tags": {"values": ["t" * 201]}},
        {**TEXT_ITEM, "tags": {"values": [None]}},
        {"text": {"html": "", "css": {"a": "x" * ITEM_BYTES_MAX}}},
    ],
)
def test_broken_items_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewItem.model_validate(body)


def test_limits_themselves_are_allowed() -> None:
    body = {
        "title": "x" * 1000,
        "description": "x" * 10_000,
        "tags": {"values": ["t" * 200] * 100},
        "text": {"html": "x" * 100_000},
    }
    assert NewItem.model_validate(body).to_wire() == body


def test_no_small_body_can_have_an_item_beyond_the_limit() -> None:
    costliest = b"1e15,"  # five bytes that become eighteen when written out
    values = b"[" + costliest * (SMALL_BYTES // len(costliest) - 20) + b"0]"
    body = b'{"text":{"html":"","css":{"a":' + values + b"}}}"
    assert len(body) <= SMALL_BYTES
    item = NewItem.model_validate_json(body, context={SMALL: True})
    assert len(item.to_json()) <= ITEM_BYTES_MAX


@pytest.mark.parametrize(("tags", "expected"), [({}, []), ({"values": None}, []), ({"values": ["a"]}, ["a"])])
def test_tags_always_hold_a_list(tags: dict[str, Any], expected: list[str]) -> None:
    assert NewItem.model_validate({**TEXT_ITEM, "tags": tags}).to_wire()["tags"] == {"values": expected}


def test_server_fields_are_ignored_on_creation() -> None:
    body = {**TEXT_ITEM, "id": "whatever", "type": "IMAGE", "createdDate": 7}
    assert NewItem.model_validate(body) == NewItem.model_validate(TEXT_ITEM)


def test_patch_knows_what_was_sent() -> None:
    patch = ItemPatch.model_validate(
        {"title": None, "link": None, "sortOrder": None, "image": None, "description": "d", "type": "IMAGE"}
    )
    assert patch.model_fields_set == {"title", "link", "description"}
    assert patch.to_wire() == {"title": None, "link": None, "description": "d"}


def test_patch_survives_the_wire() -> None:
    patch = ItemPatch.model_validate({"title": None, **VIDEO_ITEM, "tags": None})
    again = ItemPatch.model_validate_json(patch.to_json())
    assert (again, again.model_fields_set) == (patch, patch.model_fields_set)


def test_patch_has_one_medium_at_most() -> None:
    with pytest.raises(ValidationError):
        ItemPatch.model_validate({"image": IMAGE_ITEM["image"], "text": TEXT_ITEM["text"]})


def test_item_written_back_after_a_read_is_a_valid_patch() -> None:
    returned = complete_item().to_wire()
    patch = ItemPatch.model_validate({**returned, "_id": ITEM_ID})
    expected = {
        name: part for name, part in returned.items() if name not in ("id", "type", "createdDate", "updatedDate")
    }
    assert patch.to_wire() == expected


def test_entry_without_an_id_has_to_be_a_complete_item() -> None:
    with pytest.raises(ValidationError):
        ItemEntry.model_validate({"id": None, "title": "t"})
    entry = ItemEntry.model_validate(IMAGE_ITEM)
    assert entry.id is None
    assert entry.to_new_item() == NewItem.model_validate(IMAGE_ITEM)


def test_entry_with_an_unknown_id_and_no_medium_creates_nothing() -> None:
    entry = ItemEntry.model_validate({"id": ITEM_ID, "title": "t"})
    with pytest.raises(ValidationError):
        entry.to_new_item()


@pytest.mark.parametrize(
    ("body", "expected"), [(IMAGE_ITEM, "IMAGE"), (VIDEO_ITEM, "VIDEO"), (TEXT_ITEM, "TEXT")], ids=["i", "v", "t"]
)
def test_item_type_follows_from_the_medium(body: dict[str, Any], expected: str) -> None:
    assert complete_item(body).to_wire()["type"] == expected


def test_item_survives_the_wire() -> None:
    item = complete_item()
    again = Item.model_validate_json(item.to_json())
    assert again.to_wire() == item.to_wire()
    assert again.image == item.image


@pytest.mark.parametrize("model", [NewItem, ItemPatch])
def test_an_empty_tag_is_refused_with_its_field_path(model: type[NewItem] | type[ItemPatch]) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate({**TEXT_ITEM, "tags": {"values": ["sea", ""]}})
    (violation,) = violations_of(refused.value, "item")
    assert (violation.field, violation.description) == ("item.tags.values[1]", "must not be empty")
    stored = Item.model_validate({**complete_item().to_wire(), "tags": {"values": [""]}})
    assert stored.tags == Tags(values=("",)), "what was stored is kept"


def test_gallery_items_are_bounded() -> None:
    assert len(NewGallery.model_validate({"items": [TEXT_ITEM] * 500}).items) == 500
    for model in (NewGallery, GalleryPatch):
        with pytest.raises(ValidationError):
            model.model_validate({"items": [TEXT_ITEM] * 501})
    with pytest.raises(ValidationError):
        NewGallery.model_validate({"name": "x" * 1001})


def test_gallery_patch_knows_what_was_sent() -> None:
    patch = GalleryPatch.model_validate({"name": None, "sortOrder": None, "items": None, "id": ITEM_ID})
    assert patch.model_fields_set == {"name"}
    entries = GalleryPatch.model_validate({"items": [{"id": ITEM_ID, "title": None}]}).to_wire()
    assert entries == {"items": [{"id": ITEM_ID, "title": None}]}


def test_new_gallery_keeps_its_items_in_order() -> None:
    assert [item.title for item in NewGallery.model_validate(GALLERY).items] == ["i1", "v1", "v2", "t1"]
    assert NewGallery.model_validate({"items": None}).items == ()
