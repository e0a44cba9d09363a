"""The data of the commands."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.contract_examples import CREATE_ITEM, GALLERY, GALLERY_ID, ITEM_ID, OTHER_ID, TEXT_ITEM
from triptych.contract.commands import COMMANDS, command_name

IDS = [f"10000000-0000-4000-8000-{number:012d}" for number in range(1001)]

_GOOD: list[tuple[str, dict[str, Any]]] = [
    ("CreateGallery", {}),
    ("CreateGallery", {"gallery": None}),
    ("CreateGallery", {"galleryId": GALLERY_ID, "gallery": GALLERY}),
    ("CreateGallery", {"cloneFromGalleryId": GALLERY_ID, "gallery": {"name": "N", "sortOrder": 1, "items": []}}),
    ("UpdateGallery", {"galleryId": GALLERY_ID, "gallery": {"name": None}}),
    ("DeleteGallery", {"galleryId": GALLERY_ID}),
    ("ClearGallery", {"galleryId": GALLERY_ID}),
    ("RebalanceItems", {"galleryId": GALLERY_ID, "expectedSequence": 0}),
    ("RepublishGallery", {"galleryId": GALLERY_ID}),
    ("RestoreGallery", {"galleryId": GALLERY_ID, "sequence": 1}),
    ("RestoreGallery", {"galleryId": GALLERY_ID, "time": "2026-01-01T00:00:00Z"}),
    ("RestoreGallery", {"fromGalleryId": GALLERY_ID, "sequence": 2**63 - 1}),
    ("RestoreGallery", {"galleryId": OTHER_ID, "fromGalleryId": GALLERY_ID, "sequence": 1}),
    ("CreateItems", CREATE_ITEM),
    ("CreateItems", {**CREATE_ITEM, "to": "end"}),
    ("UpdateItem", {"galleryId": GALLERY_ID, "itemId": ITEM_ID, "item": {"title": None}}),
    ("MoveItem", {"galleryId": GALLERY_ID, "itemId": ITEM_ID, "before": OTHER_ID}),
    ("MoveItem", {"galleryId": GALLERY_ID, "itemId": ITEM_ID, "after": OTHER_ID}),
    ("MoveItem", {"galleryId": GALLERY_ID, "itemId": ITEM_ID, "to": "end"}),
    ("MoveItems", {"galleryId": GALLERY_ID, "itemIds": [ITEM_ID], "before": OTHER_ID}),
    ("MoveItems", {"galleryId": GALLERY_ID, "itemIds": [OTHER_ID, ITEM_ID], "to": "start"}),
    ("MoveItems", {"galleryId": GALLERY_ID, "itemIds": IDS[:1000], "to": "end"}),
    ("DeleteItems", {"galleryId": GALLERY_ID, "itemIds": [ITEM_ID] * 1000}),
]

_BAD: list[tuple[str, dict[str, Any]]] = [
    ("CreateGallery", {"galleryId": "x"}),
    ("CreateGallery", {"cloneFromGalleryId": GALLERY_ID, "gallery": {"items": [TEXT_ITEM]}}),
    ("UpdateGallery", {"galleryId": GALLERY_ID}),
    ("DeleteGallery", {}),
    ("ClearGallery", {"galleryId": None}),
    ("RebalanceItems", {"galleryId": GALLERY_ID, "expectedSequence": -1}),
    ("RepublishGallery", {"galleryId": GALLERY_ID, "expectedSequence": 2**63}),
    ("RestoreGallery", {"galleryId": GALLERY_ID}),
    ("RestoreGallery", {"sequence": 1}),
    ("RestoreGallery", {"galleryId": GALLERY_ID, "sequence": 0}),
    ("RestoreGallery", {"galleryId": GALLERY_ID, "sequence": 1, "time": "2026-01-01T00:00:00Z"}),
    ("RestoreGallery", {"galleryId": GALLERY_ID, "time": "2026-01-01"}),
    ("RestoreGallery", {"galleryId": GALLERY_ID, "fromGalleryId": GALLERY_ID, "sequence": 1}),
    ("CreateItems", {"galleryId": GALLERY_ID, "items": []}),
    ("CreateItems", {"galleryId": GALLERY_ID, "items": [TEXT_ITEM] * 501}),
    ("CreateItems", {"galleryId": GALLERY_ID, "items": [None]}),
    ("CreateItems", {**CREATE_ITEM, "to": "middle"}),
    ("UpdateItem", {"galleryId": GALLERY_ID, "itemId": ITEM_ID}),
    ("MoveItem", {"galleryId": GALLERY_ID, "itemId": ITEM_ID}),
    ("MoveItem", {"galleryId": GALLERY_ID, "itemId": ITEM_ID, "before": OTHER_ID, "to": "end"}),
    ("MoveItem", {"galleryId": GALLERY_ID, "itemId": ITEM_ID, "to": "middle"}),
    ("MoveItem", {"galleryId": GALLERY_ID, "itemId": ITEM_ID, "after": ITEM_ID}),
    ("MoveItems", {"galleryId": GALLERY_ID, "itemIds": [], "to": "end"}),
    ("MoveItems", {"galleryId": GALLERY_ID, "itemIds": IDS, "to": "end"}),
    ("MoveItems", {"galleryId": GALLERY_ID, "itemIds": [ITEM_ID]}),
    ("MoveItems", {"galleryId": GALLERY_ID, "itemIds": [ITEM_ID], "after": OTHER_ID, "to": "end"}),
    ("MoveItems", {"galleryId": GALLERY_ID, "itemIds": [OTHER_ID, ITEM_ID], "after": ITEM_ID}),
    ("MoveItems", {"galleryId": GALLERY_ID, "itemIds": [ITEM_ID, OTHER_ID, ITEM_ID.upper()], "to": "end"}),
    ("DeleteItems", {"galleryId": GALLERY_ID, "itemIds": []}),
    ("DeleteItems", {"galleryId": GALLERY_ID, "itemIds": [ITEM_ID] * 1001}),
]


def test_each_command_is_tested() -> None:
    assert {name for name, _ in _GOOD} == set(COMMANDS)


@pytest.mark.parametrize(("name", "data"), _GOOD)
def test_good_data_is_read_and_survives_the_wire(name: str, data: dict[str, Any]) -> None:
    command = COMMANDS[name].model_validate(data)
    assert command_name(command) == name
    assert COMMANDS[name].model_validate_json(command.to_json()) == command


@pytest.mark.parametrize(("name", "data"), _BAD)
def test_bad_data_is_refused(name: str, data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        COMMANDS[name].model_validate(data)
