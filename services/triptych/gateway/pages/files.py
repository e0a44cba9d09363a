"""Owns the files that pages load: their addresses contain a digest of their content, and browsers keep them."""

import asyncio
from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from mimetypes import guess_type

from isal import igzip
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from triptych.gateway.http.errors import not_found

STATIC = files("triptych.gateway.pages") / "static"
_DIGEST_CHARACTERS = 16
KEPT = "public, max-age=31536000, immutable"
"""The `Cache-Control` of a file whose address changes with its content."""
_TEXTS = ("text/", "application/javascript", "application/json", "image/svg+xml")


class PageFile:
    """A file of a package. It is read, and compressed if it is text, when somebody first asks for it."""

    def __init__(self, source: Traversable) -> None:
        self.name = source.name
        self.media_type = guess_type(source.name)[0] or "application/octet-stream"
        self._source = source

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file. Raises OSError."""
        return self._source.read_bytes()

    @cached_property
    def compressed(self) -> bytes | None:
        """The bytes as gzip; None if compression would not help."""
        return igzip.compress(self.content) if self.media_type.startswith(_TEXTS) else None

    @cached_property
    def digest(self) -> str:
        """What an address has of the content."""
        return sha256(self.content).hexdigest()[:_DIGEST_CHARACTERS]

    def answer(self, request: Request, cache_control: str) -> Response:
        """The file, compressed if the browser accepts that."""
        headers = {"Cache-Control": cache_control, "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
        if self.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                self.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=self.media_type
            )
        return Response(self.content, headers=headers, media_type=self.media_type)


class PageFiles:
    """Some files under one path."""

    def __init__(self, path: str, sources: Callable[[], list[Traversable]]) -> None:
        """`path` begins with a slash and does not end with one; `sources` is called at the first request."""
        self._path = path
        self._sources = sources

    @cached_property
    def _files(self) -> Mapping[str, PageFile]:
        return {source.name: PageFile(source) for source in self._sources()}

    def address(self, name: str) -> str:
        """The address of a file, relative to a page at the top. Raises KeyError."""
        return f"{self._path.removeprefix('/')}/{self._files[name].digest}/{name}"

    def route(self) -> Route:
        """The route that serves the files."""

        async def serve(request: Request) -> Response:
            name, digest = request.path_params["name"], request.path_params["digest"]
            # Not in the event loop: the largest file takes some 20 ms to compress.
            return await asyncio.to_thread(self._answer, request, name, digest)

        return Route(self._path + "/{digest}/{name}", serve)

    def _answer(self, request: Request, name: str, digest: str) -> Response:
        found = self._files.get(name)
        if found is None:
            raise not_found("file", name=name)
        # While gateways of two releases run, a page may come from one of them, and its files from the other.
        return found.answer(request, KEPT if digest == found.digest else "no-store")
