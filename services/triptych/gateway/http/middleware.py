"""The outermost layer of the application: request ids, metrics, the access log, and a 500 for unexpected faults."""

import asyncio
import logging
import time
from typing import Any

import uuid_utils
from prometheus_client import Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triptych.gateway.http.budget import release_reservation
from triptych.gateway.http.errors import RETRY_AFTER, HttpFailure, render
from triptych.gateway.http.methods import HeadAnswered, as_get, without_body
from triptych.kit.attribution import about
from triptych.kit.process.stopping import is_stopping
from triptych.kit.tracing.spans import tracer_in_use

log = logging.getLogger(__name__)

REQUEST_ID_HEADER = "X-Wix-Request-Id"
REQUEST_SECONDS = Histogram(
    "triptych_http_request_seconds",
    "Time from the request's head to the response's last byte",
    ["method", "route", "status"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)


class OuterMiddleware:
    """ASGI middleware around everything that may fail."""

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
        if (tracer := tracer_in_use()) is not None:
            tracer.note_request(request_id)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        inner_scope: Scope = scope
        inner_send: Send = send_with_id
        if scope["method"] == "HEAD":
            inner_scope, inner_send = as_get(scope), without_body(send_with_id)
        try:
            await self._app(inner_scope, receive, inner_send)
        except HeadAnswered:
            return
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            if status or not is_stopping():
                raise
            # The server cancels requests that have not ended in time. The outcome of a write is not known then.
            is_write = scope["method"] not in ("GET", "HEAD", "OPTIONS")
            await render(HttpFailure(504 if is_write else 503, RETRY_AFTER))(scope, receive, send_with_id)
        except Exception:
            log.exception("request %s failed: %s %r", request_id, scope["method"], scope["path"], extra=_about(scope))
            if status:
                raise  # the response has begun, so the server must close the connection
            await render(HttpFailure(500))(scope, receive, send_with_id)
        finally:
            release_reservation(scope["state"])
            # The route's pattern, not the path: with ids in the label, every gallery would have its own series.
            route = getattr(inner_scope.get("route"), "path", "none")
            REQUEST_SECONDS.labels(scope["method"], route, status).observe(time.perf_counter() - started)
            # For requests without a key, only their number is recorded, as a metric.
            if status >= 400 and "source" in scope["state"]:
                log.info("request %s: %s %s gets %d", request_id, scope["method"], route, status, extra=_about(scope))


def _about(scope: Scope) -> dict[str, Any]:
    state = scope["state"]
    return about(site=state.get("site_id"), source=state.get("source"), request=state["request_id"])
