"""Records spans with OpenTelemetry. Imported only when tracing is on."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind
from starlette.types import Scope

from triptych.kit.tracing.batches import RecordedBatch
from triptych.kit.tracing.contexts import context_of, fail, parent_of
from triptych.kit.tracing.messages import operation_attributes
from triptych.kit.tracing.mongo import MongoSpans
from triptych.kit.tracing.spans import (
    NO_OPERATION,
    NO_REQUESTS,
    NO_SPANS,
    Attributes,
    BatchSpans,
    Context,
    Operation,
    Source,
)

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig


class RecordingTracer:
    """A `Tracer` that makes the spans of one OpenTelemetry provider."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("triptych", version("triptych"))
        self._provider = provider

    def batch(self, topic: str, count: int, sources: Mapping[int, Source]) -> BatchSpans:
        """See `Tracer`. A batch without a sampled record has no span."""
        return RecordedBatch(self._tracer, topic, count, sources) if sources else NO_SPANS

    def send(self, topic: str, attributes: Attributes) -> Operation:
        """See `Tracer`."""
        if not trace.get_current_span().is_recording():
            return NO_OPERATION
        attributes = {**operation_attributes("send", "send", topic), **attributes}
        return _recorded(self._tracer.start_span(f"send {topic}", kind=SpanKind.PRODUCER, attributes=attributes))

    def step(self, name: str, parent: Context, attributes: Attributes) -> Operation:
        """See `Tracer`."""
        return _recorded(self._tracer.start_span(name, parent_of(parent), SpanKind.INTERNAL, attributes))

    def post(self, name: str, parent: Context, attributes: Attributes) -> Operation:
        """See `Tracer`."""
        return _recorded(self._tracer.start_span(name, parent_of(parent), SpanKind.CLIENT, attributes))

    def mongo_listeners(self) -> list[Any]:
        """See `Tracer`."""
        return [MongoSpans(self._provider)]

    def requests(self, is_untraced: Callable[[Scope], bool]) -> "TelemetryConfig":
        """See `Tracer`. The spans of dependencies and serialization would be many, and say little."""
        return {
            **NO_REQUESTS,
            "tracing": True,
            "tracer_provider": self._provider,
            "operation_spans": False,
            "exclude": is_untraced,
        }

    def note_request(self, request_id: str) -> None:
        """See `Tracer`."""
        trace.get_current_span().set_attribute("triptych.request.id", request_id)

    def shutdown(self) -> None:
        """See `Tracer`."""
        self._provider.shutdown()


class _RecordedOperation(Operation):
    """The span of one operation."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.context = context_of(span)
        self._current: AbstractContextManager[Span] = trace.use_span(
            span, record_exception=False, set_status_on_exception=False
        )

    def __enter__(self) -> Self:
        self._current.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._current.__exit__(kind, error, trace)
        if error is not None:
            fail(self._span, type(error).__qualname__)
        self._span.end()

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def fail(self, error_type: str) -> None:
        fail(self._span, error_type)


def _recorded(span: Span) -> Operation:
    return _RecordedOperation(span) if span.is_recording() else NO_OPERATION
