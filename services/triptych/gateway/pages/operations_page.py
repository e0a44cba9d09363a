"""Serves `/docs`: Swagger UI from this gateway, which can send the requests of the OpenAPI document."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from triptych.gateway.pages.files import STATIC, PageFiles
from triptych.gateway.pages.policy import page_answer

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Triptych - HTTP operations</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{style}">
</head>
<body>
<div id="operations">This page needs JavaScript. The document is <a href="openapi.json">openapi.json</a>.</div>
<script src="{viewer}"></script>
<script src="{start}"></script>
</body>
</html>
"""


def operations_routes() -> list[Route]:
    """The routes of the page and its files."""

    def sources() -> list[Traversable]:
        viewer = files("fastapi_offline") / "static"
        return [viewer / "swagger-ui-bundle.js", viewer / "swagger-ui.css", STATIC / "operations.js"]

    own = PageFiles("/docs-files", sources)

    async def page(_request: Request) -> Response:
        names = {"style": "swagger-ui.css", "viewer": "swagger-ui-bundle.js", "start": "operations.js"}
        return page_answer(_PAGE.format(**{place: own.address(name) for place, name in names.items()}))

    return [Route("/docs", page), own.route()]
