"""The comparison of schemas, with changes that are small enough to check by eye."""

from typing import Any

import pytest

from triptych.contract.publishing.compatibility import Direction, compare


def _object(required: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(required)}


_TEXT = {"type": "string"}
_MAYBE_TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_INTEGER = {"type": "integer"}

_BREAKS: list[tuple[Direction, dict[str, Any], dict[str, Any], str]] = [
    ("input", _object(a=_TEXT), _object(), "a: is gone"),
    ("output", _object(a=_TEXT), _object(b=_TEXT), "a: is gone"),
    ("input", _object(a=_TEXT), _object(("b",), a=_TEXT, b=_TEXT), "b: is now required"),
    ("output", _object(("a",), a=_TEXT), _object(a=_TEXT), "a: is no longer always there"),
    ("input", _object(a=_MAYBE_TEXT), _object(a=_TEXT), "a: type null is no longer read"),
    ("output", _object(a=_TEXT), _object(a=_MAYBE_TEXT), "a: type null is new"),
    ("input", _object(a={"type": "number"}), _object(a=_INTEGER), "a: type number is no longer read"),
    ("output", _object(a=_INTEGER), _object(a={"type": "number"}), "a: type number is new"),
    ("input", _object(a=_TEXT), _object(a={**_TEXT, "maxLength": 5}), "a: maxLength was absent, is 5"),
    ("input", {**_INTEGER, "minimum": 1}, {**_INTEGER, "minimum": 2}, "root: minimum was 1, is 2"),
    ("output", {**_INTEGER, "maximum": 1}, {**_INTEGER, "maximum": 2}, "root: maximum was 1, is 2"),
    ("input", _TEXT, {**_TEXT, "pattern": "x"}, "root: pattern was absent, is x"),
    ("output", {**_TEXT, "format": "uuid"}, _TEXT, "root: format was uuid, is absent"),
    ("input", {**_TEXT, "enum": ["A", "B"]}, {**_TEXT, "enum": ["A"]}, "root: B is no longer read"),
    ("output", {**_TEXT, "enum": ["A"]}, {**_TEXT, "enum": ["A", "B"]}, "root: B is new"),
    ("input", _TEXT, {**_TEXT, "enum": ["A"]}, "root: any other value is no longer read"),
    ("output", {**_TEXT, "const": "A"}, {**_TEXT, "const": "B"}, "root: B is new"),
    ("input", _object(), {**_object(), "additionalProperties": False}, "root: unknown fields are no longer allowed"),
    (
        "input",
        _object(a={"type": "array", "items": _object(b=_TEXT)}),
        _object(a={"type": "array", "items": _object(b=_INTEGER)}),
        "a[].b: type string is no longer read",
    ),
]


@pytest.mark.parametrize(("direction", "old", "new", "expected"), _BREAKS)
def test_breaking_changes_are_named(
    direction: Direction, old: dict[str, Any], new: dict[str, Any], expected: str
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
    ("input", {**_TEXT, "description": "old"}, {**_TEXT, "description": "new", "title": "T"}),
]


@pytest.mark.parametrize(("direction", "old", "new"), _HARMLESS)
def test_harmless_changes_are_not_reported(direction: Direction, old: dict[str, Any], new: dict[str, Any]) -> None:
    assert compare(old, new, direction) == []


def test_references_are_followed() -> None:
    old = {**_object(a={"$ref": "#/$defs/A"}), "$defs": {"A": _object(b=_TEXT)}}
    new = {**_object(a={"$ref": "#/$defs/Renamed"}), "$defs": {"Renamed": _object(b=_INTEGER)}}
    assert compare(old, new, "input") == ["a.b: type string is no longer read"]
    assert compare(old, old, "input") == []
