"""Answers HEAD requests, and finds the methods of a path (RFC 9110, sections 9.3.2 and 15.5.6)."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import Message, Scope, Send

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


class HeadAnswered(Exception):
    """Ends the endpoint of a HEAD request after the response's head, since the body is not sent."""


def as_get(scope: Scope) -> Scope:
    """The GET request that corresponds to a HEAD request."""
    return {**scope, "method": "GET"}


def without_body(send: Send) -> Send:
    """A `send` that sends only the head of a response; raises HeadAnswered at the body, which may be endless."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        raise HeadAnswered

    return send_head


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """The `Allow` header of a path. Each method is tried, since several routes may share a path."""
    scopes = {method: {**scope, "method": method} for method in _METHODS}
    every = list(routes)
    methods = [method for method in _METHODS if any(route.matches(scopes[method])[0] is Match.FULL for route in every)]
    return ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
