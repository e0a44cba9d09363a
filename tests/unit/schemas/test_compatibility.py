"""The comparison of schemas, with changes that are small enough to check by eye."""

from typing import Any

import pytest

from triptych.contract.publishing.compatibility import Break, Direction, Rule, compare


def _object(required: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(required)}


_TEXT = {"type": "string"}
_MAYBE_TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_INTEGER = {"type": "integer"}

_CLOSED = {**_object(a=_TEXT), "additionalProperties": False}
_UNKNOWN = (Rule.UNKNOWN_FIELDS_ADDED, "unknown fields are new")

_BREAKS: list[tuple[Direction, dict[str, Any], dict[str, Any], Break]] = [
    ("input", _object(a=_TEXT), _object(), Break("a", Rule.FIELD_REMOVED, "is gone")),
    ("output", _object(a=_TEXT), _object(b=_TEXT), Break("a", Rule.FIELD_REMOVED, "is gone")),
    ("input", _object(a=_TEXT), _object(("b",), a=_TEXT, b=_TEXT), Break("b", Rule.FIELD_REQUIRED, "is now required")),
    (
        "output",
        _object(("a",), a=_TEXT),
        _object(a=_TEXT),
        Break("a", Rule.FIELD_OPTIONAL, "is no longer always there"),
    ),
    ("input", _object(a=_MAYBE_TEXT), _object(a=_TEXT), Break("a", Rule.TYPE_NARROWED, "type null is no longer read")),
    ("output", _object(a=_TEXT), _object(a=_MAYBE_TEXT), Break("a", Rule.TYPE_WIDENED, "type null is new")),
    (
        "input",
        _object(a={"type": "number"}),
        _object(a=_INTEGER),
        Break("a", Rule.TYPE_NARROWED, "type number is no longer read"),
    ),
    ("output", _object(a=_INTEGER), _object(a={"type": "number"}), Break("a", Rule.TYPE_WIDENED, "type number is new")),
    (
        "input",
        _object(a=_TEXT),
        _object(a={**_TEXT, "maxLength": 5}),
        Break("a", Rule.LIMIT_TIGHTENED, "maxLength was absent, is 5"),
    ),
    (
        "input",
        {**_INTEGER, "minimum": 1},
        {**_INTEGER, "minimum": 2},
        Break("root", Rule.LIMIT_TIGHTENED, "minimum was 1, is 2"),
    ),
    (
        "output",
        {**_INTEGER, "maximum": 1},
        {**_INTEGER, "maximum": 2},
        Break("root", Rule.LIMIT_LOOSENED, "maximum was 1, is 2"),
    ),
    ("input", _TEXT, {**_TEXT, "pattern": "x"}, Break("root", Rule.FORM_CHANGED, "pattern was absent, is x")),
    ("output", {**_TEXT, "format": "uuid"}, _TEXT, Break("root", Rule.FORM_CHANGED, "format was uuid, is absent")),
    (
        "input",
        {**_TEXT, "enum": ["A", "B"]},
        {**_TEXT, "enum": ["A"]},
        Break("root", Rule.VALUE_REMOVED, "B is no longer read"),
    ),
    ("output", {**_TEXT, "enum": ["A"]}, {**_TEXT, "enum": ["A", "B"]}, Break("root", Rule.VALUE_ADDED, "B is new")),
    ("input", _TEXT, {**_TEXT, "enum": ["A"]}, Break("root", Rule.VALUE_REMOVED, "any other value is no longer read")),
    ("output", {**_TEXT, "const": "A"}, {**_TEXT, "const": "B"}, Break("root", Rule.VALUE_ADDED, "B is new")),
    (
        "input",
        _object(),
        {**_object(), "additionalProperties": False},
        Break("root", Rule.UNKNOWN_FIELDS_REFUSED, "unknown fields are no longer allowed"),
    ),
    ("output", {**_object(), "additionalProperties": False}, _object(), Break("root", *_UNKNOWN)),
    ("output", {**_object(), "additionalProperties": False}, _CLOSED, Break("root", *_UNKNOWN)),
    (
        "input",
        _object(a={**_TEXT, "default": "x"}),
        _object(a={**_TEXT, "default": "y"}),
        Break("a", Rule.DEFAULT_CHANGED, "default was x, is y"),
    ),
    (
        "output",
        {"type": "object", "additionalProperties": _INTEGER},
        {"type": "object", "additionalProperties": _TEXT},
        Break("{}", Rule.TYPE_WIDENED, "type string is new"),
    ),
    (
        "input",
        {"type": "object", "propertyNames": {"maxLength": 2}},
        {"type": "object", "propertyNames": {"maxLength": 1}},
        Break("{name}", Rule.LIMIT_TIGHTENED, "maxLength was 2, is 1"),
    ),
    (
        "output",
        {"anyOf": [_object(("a",), a=_TEXT), _object(("b",), b=_TEXT)]},
        {"anyOf": [_object(("a",), a=_TEXT), _object(b=_TEXT)]},
        Break("b", Rule.FIELD_OPTIONAL, "is no longer always there"),
    ),
    (
        "output",
        {"type": "array", "prefixItems": [_TEXT]},
        {"type": "array", "prefixItems": [_INTEGER]},
        Break("root", Rule.KEYWORD_CHANGED, "prefixItems changed, and no rule says whether that is harmless"),
    ),
    (
        "input",
        _object(a={"type": "array", "items": _object(b=_TEXT)}),
        _object(a={"type": "array", "items": _object(b=_INTEGER)}),
        Break("a[].b", Rule.TYPE_NARROWED, "type string is no longer read"),
    ),
]


@pytest.mark.parametrize(("direction", "old", "new", "expected"), _BREAKS)
def test_breaking_changes_are_named(
    direction: Direction, old: dict[str, Any], new: dict[str, Any], expected: Break
) -> None:
    assert compare(old, new, direction) == [expected]


_HARMLESS: list[tuple[Direction, dict[str, Any], dict[str, Any]]] = [
    ("input", _object(), _object(a=_TEXT)),
    ("output", _object(), _object(("a",), a=_TEXT)),
    ("input", _object(("a",), a=_TEXT), _object(a=_MAYBE_TEXT)),
    ("output", _object(a=_MAYBE_TEXT), _object(("a",), a=_TEXT)),
    ("input", _object(a=_INTEGER), _object(a={"type": "number"})),
    ("output", _object(a={"type": "number"}), _object(a=_INTEGER)),
    ("input", {**_TEXT, "maxLength": 5}, {**_TEXT, "maxLength": 6}),
    ("output", {**_TEXT, "maxLength": 6}, {**_TEXT, "maxLength": 5}),
    ("input", {**_TEXT, "enum": ["A"]}, {**_TEXT, "enum": ["A", "B"]}),
    ("output", {**_TEXT, "enum": ["A", "B"]}, {**_TEXT, "enum": ["A"]}),
    ("output", _TEXT, {**_TEXT, "format": "uuid"}),
    ("output", {}, _TEXT),
    ("input", _TEXT, {}),
    ("input", {"type": ["string", "null"]}, {"anyOf": [_TEXT, {"type": "null"}]}),
    ("output", {"anyOf": [_object(("a",), a=_TEXT), _TEXT]}, _object(("a", "b"), a=_TEXT, b=_TEXT)),
    ("input", {**_TEXT, "description": "old"}, {**_TEXT, "description": "new", "title": "T"}),
]


@pytest.mark.parametrize(("direction", "old", "new"), _HARMLESS)
def test_harmless_changes_are_not_reported(direction: Direction, old: dict[str, Any], new: dict[str, Any]) -> None:
    assert compare(old, new, direction) == []


def test_references_are_followed() -> None:
    old = {**_object(a={"$ref": "#/$defs/A"}), "$defs": {"A": _object(b=_TEXT)}}
    new = {**_object(a={"$ref": "#/$defs/Renamed"}), "$defs": {"Renamed": _object(b=_INTEGER)}}
    assert compare(old, new, "input") == [Break("a.b", Rule.TYPE_NARROWED, "type string is no longer read")]
    assert compare(old, old, "input") == []
