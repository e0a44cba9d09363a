"""Samples the spans of batches, which have links instead of a parent. Imported only when tracing is on."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanKind,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import Attributes


class LinkSampler(Sampler):
    """Decides on a span without a parent as if the first span that it links were its parent.

    Otherwise a sampler that keeps one in a hundred traces would drop nearly every span of a batch, although records of
    the batch have spans.
    """

    def __init__(self, sampler: Sampler) -> None:
        """`sampler` decides."""
        self._sampler = sampler

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """See `Sampler`."""
        if links and not get_current_span(parent_context).get_span_context().is_valid:
            parent_context = set_span_in_context(NonRecordingSpan(links[0].context), Context())
            found = self._sampler.should_sample(
                parent_context, links[0].context.trace_id, name, kind, attributes, links, trace_state
            )
            return SamplingResult(found.decision, found.attributes)  # the trace state belongs to the linked trace
        return self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """See `Sampler`."""
        return f"LinkSampler{{{self._sampler.get_description()}}}"
