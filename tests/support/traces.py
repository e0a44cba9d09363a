"""Tracing in this process, with all spans that have ended in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from triptych.kit.tracing.setup import make_provider, trace_with
from triptych.kit.tracing.spans import use_tracer

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-01", f"00-{TRACE_ID}-{SPAN_ID}-00"


class Traces:
    """The spans that have ended since tracing began."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def clear(self) -> None:
        """Forget them."""
        self._exporter.clear()

    def all(self) -> list[ReadableSpan]:
        """In the order in which they ended."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Those with a name."""
        return [span for span in self.all() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """The only one with a name."""
        (span,) = self.named(name)
        return span

    def of(self, trace_id: str) -> list[ReadableSpan]:
        """Those of a trace."""
        return [span for span in self.all() if trace_id_of(span) == trace_id]


def context_of(span: ReadableSpan) -> SpanContext:
    """Its ids, flags and trace state."""
    context = span.get_span_context()
    assert context is not None
    return context


def trace_id_of(span: ReadableSpan) -> str:
    """The id of its trace, in hexadecimal digits."""
    return f"{context_of(span).trace_id:032x}"


def span_id_of(span: ReadableSpan) -> str:
    """Its own id."""
    return f"{context_of(span).span_id:016x}"


def parent_of(span: ReadableSpan) -> str | None:
    """The id of its parent; None if it begins a trace."""
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def links_of(span: ReadableSpan) -> list[str]:
    """The ids of the spans that it links."""
    return [f"{link.context.span_id:016x}" for link in span.links]


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    """Its attributes."""
    return dict(span.attributes or {})


@contextmanager
def tracing() -> Iterator[Traces]:
    """Record all spans of this process, as the sampler in the environment says."""
    provider, exporter = make_provider("tests"), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_with(provider)
    try:
        yield Traces(exporter)
    finally:
        use_tracer(None)


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traces]:
    """Tracing with the default sampler, whatever the environment of the tests says."""
    for name in ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_SDK_DISABLED", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)
    with tracing() as recorded:
        yield recorded
