"""Keeps the queries of requests out of spans. Imported only when tracing is on."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

QUERY, REDACTED = "url.query", "REDACTED"


class QueryRedaction(SpanProcessor):
    """Replaces the query of a request. FastAPI stores it in the span, and a client may have put its key there."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's interface
        """See `SpanProcessor`."""
        if QUERY in (span.attributes or ()):
            span.set_attribute(QUERY, REDACTED)
