"""Compares two JSON Schemas of one message, and finds changes that break its senders or readers."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

Direction: TypeAlias = Literal["input", "output"]
Schema: TypeAlias = Mapping[str, Any]

_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_EXACT = ("pattern", "format", "multipleOf")


def compare(old_schema: Schema, new_schema: Schema, direction: Direction) -> list[str]:
    """The breaking changes from `old_schema` to `new_schema`, a line for each with its field path; empty if none.

    One rule applies to both directions: the reader must accept everything that the writer may produce. Other programs
    use the old schema. They write input (commands), and they read output (events, replies, joined records). A removed
    field is a breaking change in both directions, because its content would be lost silently. Schemas that contain
    themselves are not supported; no message has one.
    """
    return list(_breaks(_expand(old_schema, old_schema), _expand(new_schema, new_schema), direction, ""))


def _expand(schema: Any, root: Schema) -> Any:
    """The schema with every reference replaced by what it refers to."""
    if isinstance(schema, list):
        return [_expand(element, root) for element in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        return _expand(root["$defs"][name], root)
    return {key: _expand(member, root) for key, member in schema.items() if key != "$defs"}


def _breaks(old: Schema, new: Schema, direction: Direction, path: str) -> Iterator[str]:
    """Compare each form that the writer uses (`anyOf`) with the reader's form of the same type."""
    old_forms, new_forms = _forms(old), _forms(new)
    written = old_forms if direction == "input" else new_forms
    for kind in written:
        # A reader of numbers accepts an integer; a reader of integers does not accept every number.
        old_form = old_forms.get(kind) or (old_forms.get("number") if kind == "integer" else None)
        new_form = new_forms.get(kind) or (new_forms.get("number") if kind == "integer" else None)
        if old_form is None or new_form is None:
            yield f"{path or 'root'}: type {kind} {'is no longer read' if direction == 'input' else 'is new'}"
        else:
            yield from _breaks_of_form(old_form, new_form, direction, path)


def _forms(schema: Schema) -> dict[str, Schema]:
    """The alternatives of a schema by type; an alternative without a type accepts any value."""
    alternatives = schema.get("anyOf", [schema])
    return {alternative.get("type", "any"): alternative for alternative in alternatives}


def _breaks_of_form(old: Schema, new: Schema, direction: Direction, path: str) -> Iterator[str]:
    reader, writer = (new, old) if direction == "input" else (old, new)
    where = path or "root"
    if (readable := _values(reader)) is not None:
        written = _values(writer)
        for value in sorted(written - readable) if written is not None else ["any other value"]:
            yield f"{where}: {value} {'is no longer read' if direction == 'input' else 'is new'}"
    for limits, tighter in ((_UPPER, min), (_LOWER, max)):
        for limit in limits:
            if limit in reader and (limit not in writer or tighter(reader[limit], writer[limit]) != writer[limit]):
                yield f"{where}: {limit} was {old.get(limit, 'absent')}, is {new.get(limit, 'absent')}"
    for rule in _EXACT:
        if rule in reader and reader[rule] != writer.get(rule):
            yield f"{where}: {rule} was {old.get(rule, 'absent')}, is {new.get(rule, 'absent')}"
    if reader.get("additionalProperties") is False and writer.get("additionalProperties") is not False:
        yield f"{where}: unknown fields are {'no longer allowed' if direction == 'input' else 'new'}"
    yield from _breaks_of_fields(old, new, direction, path)
    if "items" in old and "items" in new:
        yield from _breaks(old["items"], new["items"], direction, f"{path}[]")


def _breaks_of_fields(old: Schema, new: Schema, direction: Direction, path: str) -> Iterator[str]:
    old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
    for name, field in old_fields.items():
        here = f"{path}.{name}" if path else name
        if name in new_fields:
            yield from _breaks(field, new_fields[name], direction, here)
        else:
            yield f"{here}: is gone"
    old_required, new_required = set(old.get("required", ())), set(new.get("required", ()))
    if direction == "input":
        for name in sorted(new_required - old_required):
            yield f"{f'{path}.{name}' if path else name}: is now required"
    else:
        for name in sorted(old_required & new_fields.keys() - new_required):
            yield f"{f'{path}.{name}' if path else name}: is no longer always there"


def _values(schema: Schema) -> set[str] | None:
    """The allowed values, as text; None if the schema does not list them."""
    if "const" in schema:
        return {str(schema["const"])}
    return {str(value) for value in schema["enum"]} if "enum" in schema else None
