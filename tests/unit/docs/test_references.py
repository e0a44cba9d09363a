"""The pages about HTTP operations, topics and messages have everything that the documents have."""

import json

import pytest

from docs.site.content import ROOT
from docs.site.references import asyncapi_page, openapi_page
from docs.site.schemas import fields, limits_of, type_of
from tests.support.citations import links
from tests.support.documented import of_gateway, operations
from triptych.contract.publishing.schema_words import Schema

TOPICS = json.loads((ROOT / "schemas" / "published" / "asyncapi.json").read_bytes())


def anchors(page: str) -> set[str]:
    return {line.partition("{ #")[2].removesuffix(" }") for line in page.splitlines() if "{ #" in line}


def test_every_operation_and_every_object_has_a_section() -> None:
    page = openapi_page(of_gateway(), "openapi.json")
    assert "[OpenAPI document](openapi.json)" in page
    for operation in operations(of_gateway()):
        assert f"`{operation}`" in page
    assert all(f"### {name} {{" in page for name in of_gateway()["components"]["schemas"])


def test_every_topic_and_every_message_has_a_section() -> None:
    page = asyncapi_page(TOPICS, "asyncapi.json")
    for channel in TOPICS["channels"].values():
        assert f"## {channel['address']}\n" in page
        assert all(f"### {message} {{" in page for message in channel["messages"])
    assert "Triptych reads this topic." in page
    assert "Triptych writes this topic." in page


def test_every_link_to_an_object_has_a_target() -> None:
    for page in (openapi_page(of_gateway(), "x"), asyncapi_page(TOPICS, "x")):
        inner = [link.removeprefix("#") for link in links(page) if link.startswith("#")]
        assert inner
        assert set(inner) <= anchors(page)


@pytest.mark.parametrize(
    ("schema", "type_", "limits"),
    [
        ({"$ref": "#/components/schemas/Item"}, "[Item](#schema-item)", ""),
        ({"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}]}, "integer or null", "at least 3"),
        ({"type": "array", "items": {"$ref": "#/a/B"}, "maxItems": 5}, "list of [B](#schema-b)", "at most 5 entries"),
        ({"type": "string", "format": "uuid"}, "string (uuid)", ""),
        ({"enum": ["a", "b"]}, "`a`, `b`", ""),
        ({"const": "x"}, "`x`", ""),
        ({"type": ["string", "null"], "default": "y"}, "string or null", "default `y`"),
        ({}, "any", ""),
    ],
)  # fmt: skip
def test_a_value_is_shown_by_its_type_and_its_bounds(schema: Schema, type_: str, limits: str) -> None:
    assert (type_of(schema), limits_of(schema)) == (type_, limits)


def test_an_object_is_shown_as_a_table_whose_cells_stay_cells() -> None:
    schema = {"properties": {"a": {"type": "string", "description": "x | y\nz"}}, "required": ["a"]}
    assert list(fields(schema))[2:] == ["| `a` | string | required |  | x \\| y z |"]
    assert list(fields({"type": "integer", "minimum": 1})) == ["integer. at least 1."]
