"""HEAD, and which methods a path has (RFC 9110, sections 9.3.2 and 15.5.6)."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import Message, Scope, Send

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


class HeadAnswered(Exception):
    """Ends the work for the answer to a HEAD request, whose body nobody gets."""


def as_get(scope: Scope) -> Scope:
    """The GET request that a HEAD request asks about."""
    return {**scope, "method": "GET"}


def without_body(send: Send) -> Send:
    """Sends the head of an answer; raises HeadAnswered when the body begins, which may be a stream without end."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        raise HeadAnswered

    return send_head


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """The `Allow` header of a path. Several routes may share it, each with a method, so each method is tried."""
    asked = [(method, {**scope, "method": method}) for method in _METHODS]
    every = list(routes)
    methods = [method for method, one in asked if any(route.matches(one)[0] is Match.FULL for route in every)]
    return ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
