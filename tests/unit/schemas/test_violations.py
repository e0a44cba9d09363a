"""The violations that a sender gets for broken rules (contract, section 5)."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from tests.support.contract_examples import GALLERY_ID, ITEM_ID, TEXT_ITEM
from triptych.contract.commands import CreateGallery, DeleteItems, MoveItem, MoveItems
from triptych.contract.item import NewItem
from triptych.contract.violations import VIOLATIONS_MAX, violations_of


def _report(model: type[BaseModel], data: object, prefix: str = "") -> list[dict[str, Any]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return [violation.to_wire() for violation in violations_of(caught.value, prefix)]


def test_all_violations_are_reported_at_once_with_their_paths() -> None:
    items = [TEXT_ITEM, {"image": {"imageInfo": {"id": "a"}, "quality": 101, "focalPoint": {"x": "NaN"}}}, {}]
    assert _report(CreateGallery, {"gallery": {"name": "x" * 1001, "items": items}}) == [
        {
            "field": "gallery.name",
            "description": "must be at most 1000 characters long",
            "violatedRule": "MAX_LENGTH",
            "data": {"threshold": 1000},
        },
        {
            "field": "gallery.items[1].image.focalPoint.x",
            "description": "must be a number",
            "violatedRule": "FORMAT",
            "data": {"expected": "number"},
        },
        {
            "field": "gallery.items[1].image.focalPoint.y",
            "description": "is required",
            "violatedRule": "REQUIRED_FIELD",
        },
        {
            "field": "gallery.items[1].image.quality",
            "description": "must be at most 100",
            "violatedRule": "MAX",
            "data": {"threshold": 100},
        },
        {
            "field": "gallery.items[2]",
            "description": "must have exactly one of image, video, text",
            "violatedRule": "CUSTOM",
            "data": {"expected": "exactly one of image, video, text"},
        },
    ]


@pytest.mark.parametrize(
    ("model", "data", "field", "rule"),
    [
        (NewItem, {"image": {"imageInfo": {}}}, "item.image.imageInfo.id", "REQUIRED_FIELD"),
        (NewItem, {"image": {"imageInfo": None}}, "item.image.imageInfo", "REQUIRED_FIELD"),
        (NewItem, {"image": {"imageInfo": {"url": "data:x"}}}, "item.image.imageInfo.url", "FORMAT"),
        (NewItem, {"text": {"html": 7}}, "item.text.html", "FORMAT"),
        (NewItem, {"text": []}, "item.text", "FORMAT"),
        (NewItem, {}, "item", "CUSTOM"),
        (NewItem, [], "item", "FORMAT"),
        (NewItem, {**TEXT_ITEM, "sortOrder": float("inf")}, "item.sortOrder", "FORMAT"),
        (NewItem, {**TEXT_ITEM, "title": "\ud800"}, "item.title", "FORMAT"),
        (NewItem, {"video": {"type": "MP4", "videoInfo": {"id": "v"}}}, "item.video.type", "FORMAT"),
        (NewItem, {"image": {"imageInfo": {"id": "i"}, "quality": 29}}, "item.image.quality", "MIN"),
        (NewItem, {"image": {"imageInfo": {"id": "i"}, "exif": {"a": 2**64}}}, "item.image.exif", "CUSTOM"),
        (NewItem, {**TEXT_ITEM, "tags": {"values": ["t"] * 101}}, "item.tags.values", "MAX_SIZE"),
        (NewItem, {"text": {"html": "", "css": {"a": "x" * 300_000}}}, "item", "MAX_SIZE"),
    ],
)
def test_each_rule_has_its_name(model: type[BaseModel], data: object, field: str, rule: str) -> None:
    (violation,) = _report(model, data, prefix="item")
    assert (violation["field"], violation["violatedRule"]) == (field, rule)


@pytest.mark.parametrize(
    ("model", "data", "field", "rule"),
    [
        (DeleteItems, {"galleryId": GALLERY_ID, "itemIds": []}, "itemIds", "MIN_SIZE"),
        (DeleteItems, {"galleryId": "x", "itemIds": [ITEM_ID]}, "galleryId", "FORMAT"),
        (MoveItem, {"galleryId": GALLERY_ID, "itemId": ITEM_ID}, "to", "CUSTOM"),
        (MoveItems, {"galleryId": GALLERY_ID, "itemIds": [ITEM_ID]}, "to", "CUSTOM"),
        (MoveItems, {"galleryId": GALLERY_ID, "itemIds": [ITEM_ID], "after": ITEM_ID}, "after", "CUSTOM"),
        (MoveItems, {"galleryId": GALLERY_ID, "itemIds": [ITEM_ID] * 2, "to": "end"}, "itemIds[1]", "CUSTOM"),
        (
            CreateGallery,
            {"cloneFromGalleryId": GALLERY_ID, "gallery": {"items": [TEXT_ITEM]}},
            "gallery.items",
            "CUSTOM",
        ),
    ],
)
def test_commands_report_paths_of_their_data(model: type[BaseModel], data: object, field: str, rule: str) -> None:
    (violation,) = _report(model, data)
    assert (violation["field"], violation["violatedRule"]) == (field, rule)


def test_descriptions_are_plain_english() -> None:
    everything = {
        "galleryId": 1,
        "expectedSequence": "x",
        "gallery": {"name": [], "sortOrder": {}, "items": [7, {"text": 1, "tags": {"values": {}}, "link": "l"}]},
    }
    for violation in _report(CreateGallery, everything):
        assert violation["description"].startswith(("must be ", "must have ", "is required"))
        assert not {"input", "dictionary", "instance", "NewItem", "tuple", "str"} & set(
            violation["description"].split()
        )


def test_a_report_is_bounded() -> None:
    assert len(_report(DeleteItems, {"galleryId": GALLERY_ID, "itemIds": ["x"] * 1000})) == VIOLATIONS_MAX
