"""Serves the page and the document that describe the topics, as FastAPI's `/docs` describes HTTP."""

from functools import cache

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from triptych.contract.publishing.asyncapi import asyncapi_document
from triptych.contract.topics import Topics

# Like `/docs`, the page loads its viewer from a content delivery network; the gateway serves the document itself.
_VIEWER = "https://cdn.jsdelivr.net/npm/@asyncapi/react-component@2.6.4"
_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Triptych - AsyncAPI</title>
<link rel="stylesheet" href="{_VIEWER}/styles/default.min.css">
</head>
<body>
<div id="asyncapi">The document is at <a href="/asyncapi.json">/asyncapi.json</a>.</div>
<script src="{_VIEWER}/browser/standalone/index.js"></script>
<script>
AsyncApiStandalone.render({{schema: {{url: "/asyncapi.json"}}}}, document.getElementById("asyncapi"));
</script>
</body>
</html>
"""


def asyncapi_routes(topics: Topics) -> list[Route]:
    """The routes `/asyncapi` for people and `/asyncapi.json` for programs, with the topics of this installation.

    The document is made when it is first asked for. Making it takes a tenth of a second, and few processes need it.
    """

    @cache
    def document() -> bytes:
        return orjson.dumps(asyncapi_document(topics), option=orjson.OPT_INDENT_2)

    async def page(_request: Request) -> Response:
        return HTMLResponse(_PAGE)

    async def json(_request: Request) -> Response:
        return Response(document(), media_type="application/json")

    return [Route("/asyncapi", page), Route("/asyncapi.json", json)]
