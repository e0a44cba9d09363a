"""Serves the console at `/` (docs/console.md), as `make console` has built it into this package."""

import asyncio
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from triptych.gateway.http.errors import not_found
from triptych.gateway.pages.files import KEPT, PageFile
from triptych.gateway.pages.policy import page_answer

BUILT = files("triptych.gateway.pages") / "console"
_FILES = "console-files"
_NOT_BUILT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Triptych</title>
<link rel="icon" href="data:,">
</head>
<body>
<h1>Triptych</h1>
<p>The gateway runs, but its console was not built. <code>make console</code> in the checkout builds it.</p>
<p><a href="docs">HTTP operations</a>, <a href="asyncapi">topics and messages</a></p>
</body>
</html>
"""


def console_routes(built: Traversable = BUILT) -> list[Route]:
    """The routes of the page and its files. `built` is the folder of the built console, which may not exist."""

    kept: dict[str, PageFile] = {}

    def answer(request: Request) -> Response:
        name, folder = request.path_params["name"], built / _FILES
        # The name is compared, and not opened: some names would lead elsewhere, and others cannot be opened at all.
        found = next((one for one in folder.iterdir() if one.name == name), None) if folder.is_dir() else None
        if found is None:
            raise not_found("file", name=name)
        return kept.setdefault(name, PageFile(found)).answer(request, KEPT)

    async def page(_request: Request) -> Response:
        index = built / "index.html"
        if not index.is_file():
            return page_answer(_NOT_BUILT, status=404)
        return page_answer(index.read_bytes())

    async def serve(request: Request) -> Response:
        return await asyncio.to_thread(answer, request)

    return [Route("/", page), Route(f"/{_FILES}/{{name}}", serve)]
