"""Serves `/asyncapi`, a page about the topics that needs no script, and the document that it is made from."""

from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from triptych.contract.publishing.asyncapi import asyncapi_document
from triptych.contract.publishing.schema_words import Notation, Schema, anchor, limits_of, type_of
from triptych.contract.topics import Topics
from triptych.gateway.pages.files import STATIC, PageFiles
from triptych.gateway.pages.policy import page_answer

Document = Mapping[str, Any]
_DIRECTIONS = {"receive": "Triptych reads this topic.", "send": "Triptych writes this topic."}
_HTML = Notation(
    link=lambda name: f'<a href="#{escape(anchor(name))}">{escape(name)}</a>',
    code=lambda value: f"<code>{escape(str(value))}</code>",
)


def topics_routes(topics: Topics) -> list[Route]:
    """The routes `/asyncapi` for people and `/asyncapi.json` for programs, with the topics of this installation.

    The document is made when it is first asked for. Making it takes a tenth of a second, and few processes need it.
    """
    own = PageFiles("/asyncapi-files", lambda: [STATIC / "pages.css"])

    @cache
    def document() -> Document:
        return asyncapi_document(topics)

    @cache
    def html() -> bytes:
        return topics_page(document(), own.address("pages.css")).encode()

    async def page(_request: Request) -> Response:
        return page_answer(html(), script_src="'none'", connect_src="'none'")

    async def json(_request: Request) -> Response:
        return Response(orjson.dumps(document(), option=orjson.OPT_INDENT_2), media_type="application/json")

    return [Route("/asyncapi", page), Route("/asyncapi.json", json), own.route()]


def topics_page(document: Document, style: str) -> str:
    """The page: each topic with its messages, then the objects in them. `style` is the address of the style sheet."""
    return "\n".join(_page(document, style))


def _page(document: Document, style: str) -> Iterator[str]:
    messages, schemas = document["components"]["messages"], dict(document["components"]["schemas"])
    title = escape(document["info"]["title"])
    yield f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Topics and messages</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{escape(style)}">
</head>
<body>
<main>
<h1>Topics and messages</h1>
<p>{escape(document["info"]["description"])}</p>
<p>This page shows the AsyncAPI document <a href="asyncapi.json">asyncapi.json</a>.</p>
<nav aria-label="Topics"><ul>"""
    for name, channel in document["channels"].items():
        yield f'<li><a href="#{escape(name)}">{escape(channel["address"])}</a></li>'
    yield "</ul></nav>"
    for name, channel in document["channels"].items():
        yield f'<h2 id="{escape(name)}">{escape(channel["address"])}</h2>'
        yield f"<p>{escape(channel['description'])} {' '.join(_directions(document, name))}</p>"
        for message in channel["messages"]:
            described = messages[message]
            yield from _section(message, schemas.pop(described["payload"]["$ref"].rpartition("/")[2]))
            if headers := described.get("headers", {}).get("properties"):
                yield f"<p>Headers: {', '.join(map(_HTML.code, headers))}.</p>"
    yield "<h2>Objects</h2>"
    for name, schema in sorted(schemas.items()):
        yield from _section(name, schema)
    yield "</main>\n</body>\n</html>"


def _directions(document: Document, channel: str) -> Iterator[str]:
    for operation in document["operations"].values():
        if operation["channel"]["$ref"].endswith(f"/{channel}"):
            yield _DIRECTIONS[operation["action"]]
        if operation.get("reply", {}).get("channel", {}).get("$ref", "").endswith(f"/{channel}"):
            yield _DIRECTIONS["send"]


def _section(name: str, schema: Schema) -> Iterator[str]:
    yield f'<h3 id="{escape(anchor(name))}">{escape(name)}</h3>'
    if about := schema.get("description"):
        yield f"<p>{escape(about)}</p>"
    properties: Mapping[str, Schema] = schema.get("properties", {})
    if not properties:
        yield f"<p>{f'{type_of(schema, _HTML)}. {limits_of(schema, _HTML)}'.rstrip('. ')}.</p>"
        return
    required = schema.get("required", ())
    # A wide table scrolls within its frame, which the keyboard can reach.
    yield f'<div class="table" tabindex="0" role="region" aria-label="Fields of {escape(name)}"><table>'
    yield "<tr><th>field</th><th>type</th><th></th><th>bounds</th><th>meaning</th></tr>"
    for field, one in properties.items():
        need = "required" if field in required else ""
        cells = (
            _HTML.code(field),
            type_of(one, _HTML),
            need,
            limits_of(one, _HTML),
            escape(one.get("description", "")),
        )
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    yield "</table></div>"
