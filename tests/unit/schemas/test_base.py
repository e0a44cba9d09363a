"""Scalars and the wire form of models."""

from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.support.contract_examples import GALLERY_ID, NOW, complete_gallery
from triptych.contract.base import JSON_DEPTH_MAX, Guid, Instant, JsonObject, SortOrder, format_instant, parse_guid
from triptych.contract.gallery import GalleryPatch, NewGallery

_GUID: TypeAdapter[str] = TypeAdapter(Guid)
_SORT_ORDER: TypeAdapter[float] = TypeAdapter(SortOrder)
_JSON_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(JsonObject)
_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


@pytest.mark.parametrize("text", [GALLERY_ID, GALLERY_ID.upper(), GALLERY_ID.replace("-", "")])
def test_guid_is_normalised(text: str) -> None:
    assert _GUID.validate_python(text) == parse_guid(text) == GALLERY_ID


@pytest.mark.parametrize("text", ["", "delete", GALLERY_ID + "0", "{" + GALLERY_ID + "}", GALLERY_ID + "\n", "é" * 36])
def test_other_text_is_not_a_guid(text: str) -> None:
    with pytest.raises(ValidationError):
        _GUID.validate_python(text)
    with pytest.raises(ValueError, match="not a GUID"):
        parse_guid(text)


@pytest.mark.parametrize("text", ["NaN", "Infinity", '"NaN"', '"Infinity"', '"-Infinity"', '"1"', "true", "1e999"])
def test_sort_order_is_a_finite_number(text: str) -> None:
    with pytest.raises(ValidationError):
        _SORT_ORDER.validate_json(text)


def test_negative_zero_is_zero() -> None:
    assert str(_SORT_ORDER.validate_json("-0.0")) == "0.0"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_sort_order_survives_the_wire(value: float) -> None:
    sent = NewGallery(sort_order=value)
    assert NewGallery.model_validate_json(sent.to_json()).sort_order == value
    assert orjson.loads(orjson.dumps(sent.to_wire())) == orjson.loads(sent.to_json())


@pytest.mark.parametrize(
    ("value", "form"), [(3.0, "3"), (3.5, "3.5"), (1657439075188.0, "1657439075188"), (0.1, "0.1")]
)
def test_numbers_have_the_shortest_form(value: float, form: str) -> None:
    assert NewGallery(sort_order=value).to_json() == f'{{"sortOrder":{form},"items":[]}}'.encode()


def test_instants_are_utc_to_the_millisecond() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert format_instant(there) == "2024-01-01T12:30:15.123Z"
    assert _INSTANT.validate_python(there).utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["2024-01-01T12:30:15", "0001-01-01T00:00:00+14:00", "yesterday", "0", 0, 0.5, True])
def test_times_that_are_not_instants_in_utc_are_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        _INSTANT.validate_python(text)


def test_wire_form_has_wire_names_and_no_nulls() -> None:
    assert complete_gallery(name=None).to_wire() == {
        "id": GALLERY_ID,
        "totalItems": 2,
        "sortOrder": 1.5,
        "createdDate": "2024-01-01T12:30:15.123Z",
        "items": [],
    }


def test_unknown_fields_are_ignored() -> None:
    assert NewGallery.model_validate({"name": "n", "_id": "x", "dataType": "z"}) == NewGallery(name="n")


@pytest.mark.parametrize(
    "value",
    [
        {"a": None, "b": [1, 2.5, True, "\0", {"c": {}}], "": "é"},
        {"low": -(2**63), "high": 2**63 - 1},
        {"a\0b": 1, "": 2, "$ref": "x", "$id": "y", "c.d": {"$date": 1}},
    ],
)
def test_free_form_objects_are_kept_as_received(value: dict[str, Any]) -> None:
    assert _JSON_OBJECT.validate_python(value) == value


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        {"a": [2**63]},
        {"a": -(2**63) - 1},
        {"a": float("inf")},
        {"a": float("nan")},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": b"bytes"},
        _nested(JSON_DEPTH_MAX + 1),
        [],
    ],
)
def test_what_cannot_be_stored_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        _JSON_OBJECT.validate_python(value)


def test_depth_is_counted_in_levels() -> None:
    assert _JSON_OBJECT.validate_python(_nested(JSON_DEPTH_MAX)) == _nested(JSON_DEPTH_MAX)


def test_unpaired_surrogates_are_refused_in_plain_texts() -> None:
    with pytest.raises(ValidationError):
        NewGallery.model_validate({"name": "\ud800"})


def test_patch_keeps_explicit_nulls_on_the_wire() -> None:
    assert GalleryPatch.model_validate({"name": None}).to_wire() == {"name": None}
    assert GalleryPatch.model_validate({}).to_wire() == {}
