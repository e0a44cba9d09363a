"""The outermost layer of the application: request ids, metrics, the access log, and a 500 for unexpected faults."""

import asyncio
import time

from prometheus_client import Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triptych.gateway.http.budget import release_reservation
from triptych.gateway.http.errors import RETRY_AFTER, HttpFailure, render
from triptych.gateway.http.methods import HeadAnswered, as_get, without_body
from triptych.gateway.http.request_ids import REQUEST_ID_HEADER, new_request_id
from triptych.kit.attribution import trace_of
from triptych.kit.logs.loggers import BoundLogger, get_logger
from triptych.kit.process.stopping import is_stopping
from triptych.kit.tracing.spans import tracer_in_use

log = get_logger(__name__)
access_log = get_logger("triptych.gateway.access", is_limited=False)

REQUEST_SECONDS = Histogram(
    "triptych_http_request_seconds",
    "Time from the request's head to the response's last byte",
    ["method", "route", "status"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)


class OuterMiddleware:
    """ASGI middleware around everything that may fail."""

    def __init__(self, app: ASGIApp, *, logs_all: bool = False) -> None:
        """`logs_all` writes a line for each request; otherwise those that refuse a request with a key are logged."""
        self._app = app
        self._logs_all = logs_all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; its id is in `request.state.request_id`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = new_request_id()
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
            log.exception("a request failed", method=scope["method"], path=scope["path"], **_named(scope))
            if status:
                raise  # the response has begun, so the server must close the connection
            await render(HttpFailure(500))(scope, receive, send_with_id)
        finally:
            release_reservation(scope["state"])
            # The route's pattern, not the path: with ids in the label, every gallery would have its own series.
            route = getattr(inner_scope.get("route"), "path", "none")
            seconds = time.perf_counter() - started
            REQUEST_SECONDS.labels(scope["method"], route, status).observe(seconds)
            if self._logs_all:
                self._log(access_log, scope, route, status, seconds)
            # For requests without a key, only their number is recorded, as a metric.
            elif status >= 400 and "source" in scope["state"]:
                self._log(log, scope, route, status, seconds)

    @staticmethod
    def _log(logger: BoundLogger, scope: Scope, route: str, status: int, seconds: float) -> None:
        logger.info(
            "a request was answered",
            method=scope["method"],
            route=route,
            status=status,
            seconds=round(seconds, 4),
            **_named(scope),
        )


def _named(scope: Scope) -> dict[str, str]:
    """The fields of a log line that name a request and its sender; without a key, the sender is unknown."""
    state = scope["state"]
    fields = {name: state.get(name) for name in ("request_id", "site_id", "source")}
    if client := scope.get("client"):
        fields["client"] = client[0]
    parents = [value for name, value in scope["headers"] if name == b"traceparent"]
    parent = parents[0] if len(parents) == 1 else b""  # several count as none, as for the write itself
    found = {name: value for name, value in fields.items() if value is not None}
    return {**found, **trace_of(parent.decode("latin-1"))}
