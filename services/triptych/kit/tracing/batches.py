"""Records the spans of a batch: one for the batch, linked with those of its records. Imported only when tracing is on.

The records of a batch belong to different traces, so the span of the batch is the child of none of them (decision 32).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from types import TracebackType
from typing import Self

from opentelemetry import trace
from opentelemetry.context import Context as OtelContext
from opentelemetry.trace import Link, Span, SpanKind

from triptych.kit.tracing.contexts import context_of, fail, parent_of
from triptych.kit.tracing.messages import BATCH_COUNT, operation_attributes
from triptych.kit.tracing.spans import Attributes, BatchSpans, Source

LINKS_MAX = 128
"""Links of one span. By default, the SDK keeps no more (`OTEL_SPAN_LINK_COUNT_LIMIT`)."""


class RecordedBatch(BatchSpans):
    """The spans of one batch with at least one sampled record; see `Tracer.batch`."""

    def __init__(self, tracer: trace.Tracer, topic: str, count: int, sources: Mapping[int, Source]) -> None:
        self._tracer = tracer
        parents = {index: parent_of(source.context) for index, source in sources.items()}
        self._batch = tracer.start_span(
            f"process_batch {topic}",
            OtelContext(),
            SpanKind.CONSUMER,
            {**operation_attributes("process_batch", "process", topic), BATCH_COUNT: count},
            _links(trace.get_current_span(parent) for parent in parents.values()),
        )
        attributes, links = operation_attributes("process", "process", topic), _links([self._batch])
        spans = {
            index: tracer.start_span(
                f"process {topic}", parent, SpanKind.CONSUMER, {**attributes, **sources[index].attributes}, links
            )
            for index, parent in parents.items()
        }
        self._spans = {index: span for index, span in spans.items() if span.is_recording()}
        self.contexts = {index: context_of(span) for index, span in self._spans.items()}
        self._current = _current(self._batch)

    def __enter__(self) -> Self:
        self._current.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._current.__exit__(kind, error, trace)
        for span in (*self._spans.values(), self._batch):
            if error is not None:
                fail(span, type(error).__qualname__)
            span.end()

    def note(self, index: int, attributes: Attributes) -> None:
        if index in self._spans:
            self._spans[index].set_attributes(attributes)

    def fail(self, index: int, error_type: str) -> None:
        if index in self._spans:
            fail(self._spans[index], error_type)

    def sending(self, topic: str, count: int, senders: Sequence[int]) -> AbstractContextManager[object]:
        return self._sending(topic, count, senders) if count else nullcontext()

    @contextmanager
    def _sending(self, topic: str, count: int, senders: Sequence[int]) -> Iterator[None]:
        name, attributes = f"send {topic}", {**operation_attributes("send", "send", topic), BATCH_COUNT: count}
        records = [self._spans[index] for index in senders if index in self._spans]
        started = time.time_ns()
        publication = self._tracer.start_span(name, None, SpanKind.PRODUCER, attributes, _links(records), started)
        spans = [publication]
        # The publication itself is in the trace of the batch. In each sender's trace, a span of the same time shows it.
        for record in records:
            parent = trace.set_span_in_context(record, OtelContext())
            links = _links([publication])
            spans.append(self._tracer.start_span(name, parent, SpanKind.PRODUCER, attributes, links, started))
        error_type = None
        try:
            with _current(publication):
                yield
        except BaseException as error:
            error_type = type(error).__qualname__
            raise
        finally:
            ended = time.time_ns()
            for span in spans:
                if error_type is not None:
                    fail(span, error_type)
                span.end(ended)


def _links(spans: Iterator[Span] | Sequence[Span]) -> list[Link]:
    """Links to spans; a link to a span that is not sampled would lead nowhere."""
    contexts = (span.get_span_context() for span in spans)
    return [Link(context) for context in islice(contexts, LINKS_MAX) if context.trace_flags.sampled]


def _current(span: Span) -> AbstractContextManager[Span]:
    return trace.use_span(span, record_exception=False, set_status_on_exception=False)
