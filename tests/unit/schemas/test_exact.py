"""Free-form objects are read exactly or refused with a violation, in every form of a command."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from tests.support.free_form import OBJECTS
from triptych.contract.base import WireModel
from triptych.contract.codec.envelope import InvalidCommand, decode_command
from triptych.contract.codec.exact import read_marked, validate_exactly
from triptych.contract.commands import CreateItems
from triptych.contract.item import FREE_FORM_PATHS, NewItem

GALLERY_ID = "4937b26c-0000-4000-8000-000000000000"
INEXACT = [
    (b'{"a":1,"a":1}', "must not hold the same key twice in one object"),
    (b'{"x":[{"\\u0061":1,"a":2}]}', "must not hold the same key twice in one object"),
    (b'{"a":1e-400}', "must not hold numbers that are too close to zero for a double"),
    (b'{"a":1e400}', "must not hold numbers that are not finite"),
    (b'{"a":NaN}', "must not hold numbers that are not finite"),
    (b'{"a":-Infinity}', "must not hold numbers that are not finite"),
    (b'{"a":9223372036854775808}', "must not hold integers outside 64 bits"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "must not nest deeper than 32 levels"),
]


def _commands(css: bytes) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
    """The same command in binary mode, in structured mode, and with its data in base64."""
    data = b'{"galleryId":"%s","items":[{"text":{"html":"x","css":%s}}]}' % (GALLERY_ID.encode(), css)
    head = b'{"specversion":"1.0","id":"i","type":"triptych.command.v1.CreateItems",'
    attributes = {"ce_specversion": "1.0", "ce_id": "i", "ce_type": "triptych.command.v1.CreateItems"}
    return [
        (data, [(name, value.encode()) for name, value in attributes.items()]),
        (head + b'"data":' + data + b"}", []),
        (head + b'"data_base64":"' + b64encode(data) + b'"}', []),
    ]


@pytest.mark.parametrize(("css", "description"), INEXACT, ids=[str(css[:24]) for css, _ in INEXACT])
def test_what_cannot_be_kept_exactly_is_refused_by_name(css: bytes, description: str) -> None:
    for value, headers in _commands(css):
        with pytest.raises(InvalidCommand) as refused:
            decode_command(value, headers)
        (violation,) = refused.value.violations
        assert (violation.field, violation.description) == ("items[0].text.css", description)


@given(OBJECTS)
def test_any_object_is_read_as_it_was_written(css: dict[str, Any]) -> None:
    for value, headers in _commands(json.dumps(css).encode()):
        data = decode_command(value, headers).data
        assert isinstance(data, CreateItems)
        assert data.items[0].text is not None
        assert _same(data.items[0].text.css, css)
        assert _same(json.loads(data.to_json())["items"][0]["text"]["css"], css)


def test_all_violations_are_reported_together() -> None:
    body = b'{"title":1,"text":{"html":"x","css":{"a":1,"a":2}}}'
    with pytest.raises(ValidationError) as refused:
        validate_exactly(NewItem, body)
    assert [error["loc"] for error in refused.value.errors()] == [("title",), ("text", "css")]


def test_repeated_keys_outside_of_free_form_objects_are_accepted() -> None:
    body = b'{"title":"a","title":"b","unknown":{"a":1,"a":2},"text":{"html":"x","css":{}}}'
    assert validate_exactly(NewItem, body).title == "b"


@pytest.mark.parametrize("body", [b"{}", b'{"a":0.0,"b":-0.0,"c":0e-9,"d":{"a":1},"e":5e-324,"f":1E0}', b"[1]"])
def test_most_bodies_have_nothing_to_mark(body: bytes) -> None:
    assert read_marked(body) is None


def test_every_free_form_field_of_an_item_is_known() -> None:
    found = []
    for medium, field in NewItem.model_fields.items():
        kinds = [kind for kind in getattr(field.annotation, "__args__", ()) if isinstance(kind, type)]
        for kind in kinds:
            if issubclass(kind, WireModel):
                found += [(medium, name) for name, part in kind.model_fields.items() if "dict" in str(part.annotation)]
    assert tuple(found) == FREE_FORM_PATHS


def _same(one: object, other: object) -> bool:
    """Whether two values are equal in the types of their numbers too: 1 and 1.0 are different spellings."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
