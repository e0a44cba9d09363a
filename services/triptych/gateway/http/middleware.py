"""The outermost layer: a request id on every response, metrics, and an answer for faults nobody expected."""

import logging
import time
from typing import Any

import uuid_utils
from prometheus_client import Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triptych.gateway.http.budget import release
from triptych.gateway.http.errors import HttpFailure, render
from triptych.gateway.http.methods import HeadAnswered, as_get, without_body
from triptych.kit.attribution import about

log = logging.getLogger(__name__)

REQUEST_ID_HEADER = "X-Wix-Request-Id"
REQUEST_SECONDS = Histogram(
    "triptych_http_request_seconds",
    "Time from the request's head to the response's last byte",
    ["method", "route", "status"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)


class OuterMiddleware:
    """ASGI middleware, outside everything that may fail."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; its id is in `request.state.request_id`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = str(uuid_utils.uuid7())
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        asked: Scope = scope
        send_answer: Send = send_marked
        if scope["method"] == "HEAD":
            asked, send_answer = as_get(scope), without_body(send_marked)
        try:
            await self._app(asked, receive, send_answer)
        except HeadAnswered:
            return
        except ClientDisconnect:
            return
        except Exception:
            log.exception("request %s failed: %s %r", request_id, scope["method"], scope["path"], extra=_about(scope))
            if status:
                raise  # too late for another answer: the server has to break the connection
            await render(HttpFailure(500))(scope, receive, send_marked)
        finally:
            release(scope["state"])
            # The route's pattern, not the path: ids would make as many series as there are galleries.
            route = getattr(asked.get("route"), "path", "none")
            REQUEST_SECONDS.labels(scope["method"], route, status).observe(time.perf_counter() - started)
            # Of whoever has no key there is nothing to tell but the number, which is among the metrics.
            if status >= 400 and "source" in scope["state"]:
                log.info("request %s: %s %s gets %d", request_id, scope["method"], route, status, extra=_about(scope))


def _about(scope: Scope) -> dict[str, Any]:
    state = scope["state"]
    return about(site=state.get("site_id"), source=state.get("source"), request=state["request_id"])
