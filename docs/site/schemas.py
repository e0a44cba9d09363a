"""Shows JSON Schemas of OpenAPI and AsyncAPI documents as Markdown: a table of fields for each object."""

from collections.abc import Iterator, Mapping
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
    ("pattern", "`{}`"),
    ("default", "default `{}`"),
)


def anchor(name: str) -> str:
    """The anchor of the schema with this name on its page."""
    return f"schema-{name.lower()}"


def type_of(schema: Schema) -> str:
    """A schema in one line: its type, with links to other schemas."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{anchor(name)})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(type_of(one) for one in schema[several]))
    match schema.get("type"):
        case "array":
            return f"list of {type_of(schema.get('items', {}))}"
        case list(kinds):
            return " or ".join(kinds)
        case str(kind):
            return f"{kind} ({schema['format']})" if "format" in schema else kind
    return "any"


def limits_of(schema: Schema) -> str:
    """The bounds and the default of a value. Those of one that may be null are within its `anyOf`."""
    found = [
        said.format(part[name])
        for part in (schema, *schema.get("anyOf", ()), schema.get("items", {}))
        for name, said in _LIMITS
        if part.get(name) is not None
    ]
    return ", ".join(dict.fromkeys(found))


def cell(text: str) -> str:
    """A text as the cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def fields(schema: Schema) -> Iterator[str]:
    """The table of an object's fields; for anything else, its type."""
    properties: Mapping[str, Schema] = schema.get("properties", {})
    if not properties:
        yield f"{type_of(schema)}. {limits_of(schema)}".rstrip(". ") + "."
        return
    required = schema.get("required", ())
    yield "| field | type | | bounds | meaning |"
    yield "|---|---|---|---|---|"
    for name, one in properties.items():
        need = "required" if name in required else ""
        about = cell(one.get("description", ""))
        yield f"| `{name}` | {cell(type_of(one))} | {need} | {cell(limits_of(one))} | {about} |"


def section(name: str, schema: Schema, level: int = 3) -> Iterator[str]:
    """The section about a schema, with the anchor that links of `type_of` lead to."""
    yield from (f"{'#' * level} {name} {{ #{anchor(name)} }}", "")
    if "description" in schema:
        yield from (schema["description"], "")
    yield from (*fields(schema), "")
