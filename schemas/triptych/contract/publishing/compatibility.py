"""Compares two JSON Schemas of one message, and finds changes that break its senders or readers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, TypeAlias

Direction: TypeAlias = Literal["input", "output"]
Schema: TypeAlias = Mapping[str, Any]

_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_EXACT = ("pattern", "format", "multipleOf", "uniqueItems")
_ANNOTATIONS = ("$schema", "title", "description", "examples", "deprecated", "default")
_COMPARED = {
    *(*_UPPER, *_LOWER, *_EXACT, *_ANNOTATIONS, "type", "enum", "const", "anyOf"),
    *("properties", "required", "items", "additionalProperties", "propertyNames"),
}
_ANY: Schema = {}
_ABSENT = object()


class Rule(StrEnum):
    """The rules for changes of a schema; `schemas/README.md` explains them."""

    FIELD_REMOVED = "field-removed"
    FIELD_REQUIRED = "field-required"
    FIELD_OPTIONAL = "field-optional"
    TYPE_NARROWED = "type-narrowed"
    TYPE_WIDENED = "type-widened"
    VALUE_REMOVED = "value-removed"
    VALUE_ADDED = "value-added"
    LIMIT_TIGHTENED = "limit-tightened"
    LIMIT_LOOSENED = "limit-loosened"
    FORM_CHANGED = "form-changed"
    UNKNOWN_FIELDS_REFUSED = "unknown-fields-refused"
    UNKNOWN_FIELDS_ADDED = "unknown-fields-added"
    DEFAULT_CHANGED = "default-changed"
    KEYWORD_CHANGED = "keyword-changed"


@dataclass(frozen=True, slots=True)
class Break:
    """A change that breaks a rule; `field` is a path such as `items[].title`, or `root` for the message itself."""

    field: str
    rule: Rule
    detail: str


def compare(old_schema: Schema, new_schema: Schema, direction: Direction) -> list[Break]:
    """The breaking changes from `old_schema` to `new_schema`; empty if there are none.

    One rule applies to both directions: the reader must accept everything that the writer may produce. Other programs
    use the old schema. They write input (commands), and they read output (events, replies, joined records). A removed
    field is a breaking change in both directions, because its content would be lost silently. A keyword that this
    module does not know must not change at all. Schemas that contain themselves are not supported; no message has one.
    """
    return list(_breaks(_expand(old_schema, old_schema), _expand(new_schema, new_schema), direction, ""))


def _expand(schema: Any, root: Schema) -> Any:
    """The schema with every reference replaced by what it refers to."""
    if isinstance(schema, list):
        return [_expand(element, root) for element in schema]
    if not isinstance(schema, Mapping):
        return schema
    expanded = {key: _expand(member, root) for key, member in schema.items() if key not in ("$defs", "$ref")}
    if isinstance(reference := schema.get("$ref"), str):
        return {**_expand(root["$defs"][reference.removeprefix("#/$defs/")], root), **expanded}
    return expanded


def _breaks(old: Schema, new: Schema, direction: Direction, path: str) -> Iterator[Break]:
    """Compare each form that the writer uses (`anyOf`) with the reader's forms of the same type."""
    is_input = direction == "input"
    before, after = old.get("default", _ABSENT), new.get("default", _ABSENT)
    if is_input and before != after:
        yield Break(path or "root", Rule.DEFAULT_CHANGED, _was(old, new, "default"))
    old_forms, new_forms = _forms(old), _forms(new)
    written, read = (old_forms, new_forms) if is_input else (new_forms, old_forms)
    for index, form in enumerate(written):
        kind = form.get("type", "any")
        # The one at the same place comes first, and so is preferred among readers that fit equally well.
        places = sorted(range(len(read)), key=lambda place: place != index)
        candidates = [read[place] for place in places if _reads_type(read[place], kind)]
        found = [list(_breaks_of_form(form, reader, direction, path)) for reader in candidates]
        if found:
            yield from min(found, key=len)
        elif is_input:
            yield Break(path or "root", Rule.TYPE_NARROWED, f"type {kind} is no longer read")
        else:
            yield Break(path or "root", Rule.TYPE_WIDENED, f"type {kind} is new")


def _forms(schema: Schema) -> list[Schema]:
    """The alternatives of a schema, each with one type; an alternative without a type accepts any value."""
    common = {key: value for key, value in schema.items() if key != "anyOf"}
    alternatives = [{**common, **alternative} for alternative in schema.get("anyOf", [_ANY])]
    return [
        {**alternative, "type": kind} if kind else alternative
        for alternative in alternatives
        for kind in _types(alternative.get("type"))
    ]


def _types(given: Any) -> list[str | None]:
    return given if isinstance(given, list) else [given]


def _reads_type(reader: Schema, kind: str) -> bool:
    """A reader of numbers accepts an integer; a reader of integers does not accept every number."""
    readable = reader.get("type", "any")
    return readable in ("any", kind) or (kind == "integer" and readable == "number")


def _breaks_of_form(writer: Schema, reader: Schema, direction: Direction, path: str) -> Iterator[Break]:
    old, new = (writer, reader) if direction == "input" else (reader, writer)
    is_input, where = direction == "input", path or "root"
    if (readable := _values(reader)) is not None:
        written = _values(writer)
        for value in sorted(written - readable) if written is not None else ["any other value"]:
            rule, change = (Rule.VALUE_REMOVED, "is no longer read") if is_input else (Rule.VALUE_ADDED, "is new")
            yield Break(where, rule, f"{value} {change}")
    for limits, tighter in ((_UPPER, min), (_LOWER, max)):
        for limit in limits:
            if limit in reader and (limit not in writer or tighter(reader[limit], writer[limit]) != writer[limit]):
                yield Break(where, Rule.LIMIT_TIGHTENED if is_input else Rule.LIMIT_LOOSENED, _was(old, new, limit))
    for keyword in _EXACT:
        if keyword in reader and reader[keyword] != writer.get(keyword):
            yield Break(where, Rule.FORM_CHANGED, _was(old, new, keyword))
    for keyword in sorted((old.keys() | new.keys()) - _COMPARED):
        if old.get(keyword, _ABSENT) != new.get(keyword, _ABSENT):
            yield Break(where, Rule.KEYWORD_CHANGED, f"{keyword} changed, and no rule says whether that is harmless")
    yield from _breaks_of_fields(old, new, direction, path)
    yield from _breaks_of_unknown_fields(old, new, direction, path)
    for keyword, suffix in (("items", "[]"), ("propertyNames", "{name}")):
        if keyword in reader:
            yield from _breaks(old.get(keyword, _ANY), new.get(keyword, _ANY), direction, f"{path}{suffix}")


def _breaks_of_fields(old: Schema, new: Schema, direction: Direction, path: str) -> Iterator[Break]:
    old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
    for name, field in old_fields.items():
        here = f"{path}.{name}" if path else name
        if name in new_fields:
            yield from _breaks(field, new_fields[name], direction, here)
        else:
            yield Break(here, Rule.FIELD_REMOVED, "is gone")
    old_required, new_required = set(old.get("required", ())), set(new.get("required", ()))
    if direction == "input":
        for name in sorted(new_required - old_required):
            yield Break(f"{path}.{name}" if path else name, Rule.FIELD_REQUIRED, "is now required")
    else:
        for name in sorted(old_required & new_fields.keys() - new_required):
            yield Break(f"{path}.{name}" if path else name, Rule.FIELD_OPTIONAL, "is no longer always there")


def _breaks_of_unknown_fields(old: Schema, new: Schema, direction: Direction, path: str) -> Iterator[Break]:
    """Compare what both sides say about fields that the schema does not name."""
    reader, writer = (new, old) if direction == "input" else (old, new)
    readable, written = reader.get("additionalProperties", True), writer.get("additionalProperties", True)
    if readable is False:
        unnamed = writer.get("properties", {}).keys() - reader.get("properties", {}).keys()
        if direction == "input" and written is not False:
            yield Break(path or "root", Rule.UNKNOWN_FIELDS_REFUSED, "unknown fields are no longer allowed")
        elif direction == "output" and (written is not False or unnamed):
            yield Break(path or "root", Rule.UNKNOWN_FIELDS_ADDED, "unknown fields are new")
    elif readable is not True and written is not False:
        yield from _breaks(_member(old), _member(new), direction, f"{path}{{}}")


def _member(schema: Schema) -> Schema:
    """The schema of the fields that `schema` does not name."""
    member = schema.get("additionalProperties", True)
    return _ANY if isinstance(member, bool) else member


def _values(schema: Schema) -> set[str] | None:
    """The allowed values, as text; None if the schema does not list them."""
    if "const" in schema:
        return {str(schema["const"])}
    return {str(value) for value in schema["enum"]} if "enum" in schema else None


def _was(old: Schema, new: Schema, keyword: str) -> str:
    return f"{keyword} was {old.get(keyword, 'absent')}, is {new.get(keyword, 'absent')}"
