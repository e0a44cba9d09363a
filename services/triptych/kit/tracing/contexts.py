"""Converts between W3C Trace Context and OpenTelemetry, and marks spans as failed. Imported only when tracing is on."""

from opentelemetry.context import Context as OtelContext
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from triptych.kit.tracing.spans import Context

_W3C = TraceContextTextMapPropagator()


def parent_of(context: Context) -> OtelContext:
    """The OpenTelemetry context in which a span becomes a child of this one."""
    traceparent, tracestate = context
    carrier = {"traceparent": traceparent or "", "tracestate": tracestate or ""}
    return _W3C.extract({name: value for name, value in carrier.items() if value}, OtelContext())


def context_of(span: Span) -> Context:
    """The traceparent and tracestate that pass a span on."""
    found = span.get_span_context()
    traceparent = f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags & 0x03:02x}"
    return traceparent, found.trace_state.to_header() or None


def fail(span: Span, error_type: str) -> None:
    """Mark a span as failed by the type of an error. The text of an error may quote data, and stays out of spans."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
