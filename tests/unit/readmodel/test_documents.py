"""Documents of the views and the wire forms that come back from them, by way of BSON."""

import json
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.free_form import OBJECTS
from triptych.readmodel.documents import (
    Gap,
    gallery_document,
    gallery_wire,
    hidden_gallery_document,
    is_shown,
    item_document,
    item_wire,
)

GALLERY = {"id": "g", "name": "N", "sortOrder": 3, "createdDate": "2026-01-01T00:00:00.250Z"}
ITEM: dict[str, Any] = {"id": "i", "sortOrder": 1657439075188, "type": "TEXT", "text": {"html": "h"}}


def _stored(document: dict[str, Any]) -> dict[str, Any]:
    return bson.decode(bson.encode(document))


def test_a_gallery_comes_back_as_it_was() -> None:
    document = _stored(gallery_document("s", GALLERY, total_items=2, sequence=7, gap=Gap(expected=8, received=9)))
    assert gallery_wire(document) == {**GALLERY, "totalItems": 2}
    assert (document["siteId"], document["sequence"], document["gap"]) == ("s", 7, {"expected": 8, "received": 9})
    assert is_shown(document)


def test_a_gallery_without_name_has_none_on_the_wire() -> None:
    nameless = {key: value for key, value in GALLERY.items() if key != "name"}
    assert "name" not in gallery_wire(_stored(gallery_document("s", nameless, total_items=0, sequence=1)))


@pytest.mark.parametrize(
    ("stored", "text"), [(5, "5"), (1.5, "1.5"), (-0.25, "-0.25"), (1e300, "1e+300"), (2**53, str(2**53))]
)
def test_a_sort_order_is_stored_as_double_and_written_in_its_shortest_form(stored: float, text: str) -> None:
    document = _stored(gallery_document("s", {**GALLERY, "sortOrder": stored}, total_items=0, sequence=1))
    assert type(document["sortOrder"]) is float
    assert json.dumps(gallery_wire(document)["sortOrder"]) == text


def test_what_is_hidden_is_not_shown() -> None:
    assert hidden_gallery_document("s", "g", sequence=4, deleted=True) == {
        "_id": "g",
        "siteId": "s",
        "sequence": 4,
        "deleted": True,
    }
    unopened = hidden_gallery_document("s", "g", sequence=0, gap=Gap(expected=1, received=2))
    assert unopened["gap"] == {"expected": 1, "received": 2}
    assert not is_shown(unopened)


@pytest.mark.parametrize(
    "item",
    [
        ITEM,
        {**ITEM, "tags": {"values": ["a", "b"]}, "title": "T\0"},
        {**ITEM, "text": {"html": "h", "css": {"$ref": "a", "$id": 1, "x": [{"$ref": "b", "$id": {}}]}}},
        {**ITEM, "text": {"html": "h", "css": {"$set": 1, "a.b": {"": None}, "id": 2**62, "n": 1.0}}},
        {"id": "i", "sortOrder": 1, "type": "IMAGE", "image": {"exif": {"$id": 1, "z": 2, "$ref": "c"}}},
    ],
)
def test_an_item_comes_back_as_it_was(item: dict[str, Any]) -> None:
    document = _stored(item_document("s", "g", item, 3))
    assert json.loads(json.dumps(item_wire(document))) == item
    assert (document["_id"], document["galleryId"], document["sequence"]) == ("g/i", "g", 3)
    assert type(document["sortOrder"]) is float
    assert document["tags"] == item.get("tags", {}).get("values", [])


@given(OBJECTS, st.sampled_from(["TEXT", "IMAGE"]))
def test_any_free_form_object_comes_back_and_means_nothing_to_the_driver(value: dict[str, Any], kind: str) -> None:
    content = {"text": {"html": "h", "css": value}} if kind == "TEXT" else {"image": {"exif": value, "quality": 30}}
    item = {"id": "i", "sortOrder": 1, "type": kind, **content}
    before = json.dumps(item)
    document = _stored(item_document("s", "g", item, 3))
    assert json.dumps(item_wire(document)) == before == json.dumps(item)


def test_objects_that_were_stored_as_they_were_are_still_read() -> None:
    item = {
        **ITEM,
        "text": {"html": "h", "css": {"$id": 1, "$ref": "a", "x": [{"$ref": "b", "$id": {}}], "y": {"z": 1}}},
    }
    document = _stored({**item_document("s", "g", item, 3), "item": item})
    assert json.loads(json.dumps(item_wire(document))) == item
