"""Writes the pages that show the OpenAPI and the AsyncAPI document, from the documents alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from docs.site.schemas import cell, limits_of, section, type_of

Document = Mapping[str, Any]
_DIRECTIONS = {"receive": "Triptych reads this topic.", "send": "Triptych writes this topic."}


def openapi_page(document: Document, download: str) -> str:
    """Operations by their tag, and all objects. `download` is where the document is, from this page."""
    return "\n".join(_openapi(document, download))


def asyncapi_page(document: Document, download: str) -> str:
    """Topics with their messages, and all objects. `download` is where the document is, from this page."""
    return "\n".join(_asyncapi(document, download))


def _openapi(document: Document, download: str) -> Iterator[str]:
    yield from ("# HTTP operations", "")
    yield f"This page shows the [OpenAPI document]({download}) of the gateway. A running gateway serves it too, as"
    yield "`/openapi.json`, and as `/docs`, a page that can send requests. Every request needs a key in the header"
    yield from ("`Authorization`.", "")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _operation(method.upper(), path, operation)
    yield from ("## Objects", "")
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from section(name, schema)


def _operation(method: str, path: str, operation: Document) -> Iterator[str]:
    yield from (f"## {operation['operationId']}", "", f"`{method} {path}`", "")
    if about := operation.get("description") or operation.get("summary"):
        yield from (about, "")
    if parameters := operation.get("parameters"):
        yield from ("| parameter | in | type | | bounds | meaning |", "|---|---|---|---|---|---|")
        for one in parameters:
            schema, need = one.get("schema", {}), "required" if one.get("required") else ""
            about = cell(one.get("description", ""))
            kind, limits = cell(type_of(schema)), cell(limits_of(schema))
            yield f"| `{one['name']}` | {one['in']} | {kind} | {need} | {limits} | {about} |"
        yield ""
    if body := operation.get("requestBody"):
        yield from (f"Body: {_contents(body)}", "")
    yield from ("| status | meaning | body |", "|---|---|---|")
    for status, answer in operation["responses"].items():
        yield f"| {status} | {cell(answer.get('description', ''))} | {_contents(answer)} |"
    yield ""


def _contents(part: Document) -> str:
    contents = part.get("content", {}).items()
    return ", ".join(f"`{kind}`: {cell(type_of(content.get('schema', {})))}" for kind, content in contents)


def _asyncapi(document: Document, download: str) -> Iterator[str]:
    messages, schemas = document["components"]["messages"], dict(document["components"]["schemas"])
    yield from ("# Topics and messages", "", document["info"]["description"], "")
    yield f"This page shows the [AsyncAPI document]({download}). A running gateway serves it too, as"
    yield from ("`/asyncapi.json`, with the names that topics have there.", "")
    for name, channel in document["channels"].items():
        yield from (f"## {channel['address']}", "", channel["description"], *_direction(document, name), "")
        for message in channel["messages"]:
            described = messages[message]
            kind = described["payload"]["$ref"].rpartition("/")[2]
            yield from section(message, schemas.pop(kind))
            headers = described.get("headers", {}).get("properties", {})
            yield from ("Headers: " + ", ".join(f"`{header}`" for header in headers) + ".", "") if headers else ()
    yield from ("## Objects", "")
    for name, schema in sorted(schemas.items()):
        yield from section(name, schema)


def _direction(document: Document, channel: str) -> Iterator[str]:
    for operation in document["operations"].values():
        if operation["channel"]["$ref"].endswith(f"/{channel}"):
            yield _DIRECTIONS[operation["action"]]
        if operation.get("reply", {}).get("channel", {}).get("$ref", "").endswith(f"/{channel}"):
            yield _DIRECTIONS["send"]
