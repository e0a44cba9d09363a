"""Says in words what a JSON Schema of our documents allows, for pages in Markdown and in HTML."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]
_LIMITS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} entries"),
    ("maxItems", "at most {} entries"),
)
_LITERALS = (("pattern", "{}"), ("default", "default {}"))


@dataclass(frozen=True, slots=True)
class Notation:
    """How a page writes a link to the section of a named schema, and a literal value."""

    link: Callable[[str], str]
    code: Callable[[object], str]


def anchor(name: str) -> str:
    """The anchor of the schema with this name on its page."""
    return f"schema-{name.lower()}"


def type_of(schema: Schema, notation: Notation) -> str:
    """A schema in one line: its type, with links to other schemas."""
    if "$ref" in schema:
        return notation.link(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return notation.code(schema["const"])
    if "enum" in schema:
        return ", ".join(notation.code(value) for value in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(type_of(one, notation) for one in schema[several]))
    match schema.get("type"):
        case "array":
            return f"list of {type_of(schema.get('items', {}), notation)}"
        case list(kinds):
            return " or ".join(kinds)
        case str(kind):
            return f"{kind} ({schema['format']})" if "format" in schema else kind
    return "any"


def limits_of(schema: Schema, notation: Notation) -> str:
    """The bounds and the default of a value. Those of one that may be null are within its `anyOf`."""
    found = []
    for part in (schema, *schema.get("anyOf", ()), schema.get("items", {})):
        found += [said.format(part[name]) for name, said in _LIMITS if part.get(name) is not None]
        found += [said.format(notation.code(part[name])) for name, said in _LITERALS if part.get(name) is not None]
    return ", ".join(dict.fromkeys(found))
