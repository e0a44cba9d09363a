"""Records HTTP requests with the instrumentation of ASGI. Imported only when tracing is on.

The instrumentation gets a copy of each request's scope that has neither the query nor most headers. It would store the
query in attributes, and it raises an error if the query is not UTF-8 (version 0.66b1). FastAPI's own instrumentation
wraps the same middleware, and also matches each route a second time.
"""

from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeterProvider
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triptych.kit.tracing.contexts import fail

SHOWN_HEADERS = frozenset({b"host", b"user-agent", b"traceparent", b"tracestate"})
_SCOPE, _ERROR = "triptych.scope", "triptych.error"


class RequestSpans:
    """ASGI middleware around a whole application: a span for each request, named after its route."""

    def __init__(self, app: ASGIApp, provider: trace.TracerProvider, untraced: frozenset[str]) -> None:
        """Requests to the paths in `untraced` have no span."""
        self._app = app
        self._untraced = untraced
        self._instrumented: Any = OpenTelemetryMiddleware(
            self._serve,
            default_span_details=lambda scope: (scope["method"], {}),
            tracer_provider=provider,
            meter_provider=NoOpMeterProvider(),
            # A stream would have a span for each of its events.
            exclude_spans=["receive", "send"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in self._untraced:
            await self._app(scope, receive, send)
            return
        shown = {**scope, "query_string": b"", "headers": _shown(scope["headers"]), _SCOPE: scope}
        await self._instrumented(shown, receive, send)
        if (error := shown.get(_ERROR)) is not None:
            raise error

    async def _serve(self, shown: Scope, receive: Receive, send: Send) -> None:
        """Serve the request of which the instrumentation has seen `shown`."""
        scope, span = shown[_SCOPE], trace.get_current_span()

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                _name(span, scope)
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except Exception as error:  # noqa: BLE001 - raised again outside of the span, which would store its text
            fail(span, type(error).__qualname__)
            shown[_ERROR] = error


def _name(span: trace.Span, scope: Scope) -> None:
    if not span.is_recording():
        return
    if (route := getattr(scope.get("route"), "path", None)) is not None:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    if (request_id := scope.get("state", {}).get("request_id")) is not None:
        span.set_attribute("triptych.request.id", request_id)


def _shown(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    shown = [(name, value) for name, value in headers if name in SHOWN_HEADERS and value.isascii()]
    if sum(name == b"traceparent" for name, _ in shown) > 1:  # several count as none (W3C Trace Context, 3.2)
        shown = [(name, value) for name, value in shown if not name.startswith(b"trace")]
    return shown
