"""Shows JSON Schemas of OpenAPI and AsyncAPI documents as Markdown: a table of fields for each object."""

from collections.abc import Iterator, Mapping

from triptych.contract.publishing import schema_words
from triptych.contract.publishing.schema_words import Notation, Schema, anchor

_MARKDOWN = Notation(link=lambda name: f"[{name}](#{anchor(name)})", code=lambda value: f"`{value}`")


def type_of(schema: Schema) -> str:
    """A schema in one line: its type, with links to other schemas."""
    return schema_words.type_of(schema, _MARKDOWN)


def limits_of(schema: Schema) -> str:
    """The bounds and the default of a value."""
    return schema_words.limits_of(schema, _MARKDOWN)


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
