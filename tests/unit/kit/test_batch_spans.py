"""The spans of a batch: links between traces, children within them, and nothing for records that are not sampled."""

from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.traces import (
    SAMPLED,
    SPAN_ID,
    TRACE_ID,
    UNSAMPLED,
    Traces,
    attributes_of,
    context_of,
    links_of,
    parent_of,
    span_id_of,
    trace_id_of,
    tracing,
)
from triptych.contract.codec.trace_context import is_sampled, sampled_context
from triptych.kit.kafka.consuming.spans import record_spans
from triptych.kit.tracing.batches import LINKS_MAX
from triptych.kit.tracing.spans import NO_SPANS, RECORDS_MAX, Source, tracer_in_use

OTHER = f"00-{'a' * 32}-{'b' * 16}-01"


def record(offset: int, **headers: bytes | None) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("events", 3, offset, 0, 0, b"k", b"v", None, 1, 1, tuple(headers.items()))


def batch_of(*contexts: str | None) -> list[ConsumerRecord[Any, Any]]:
    return [
        record(offset, ce_id=b"e%d" % offset, **({} if context is None else {"traceparent": context.encode()}))
        for offset, context in enumerate(contexts)
    ]


def test_each_sampled_record_has_a_span_in_its_trace_and_the_batch_links_them(traces: Traces) -> None:
    records = batch_of(SAMPLED, None, UNSAMPLED, OTHER)
    with record_spans(records, sampled_context) as spans:
        assert set(spans.contexts) == {0, 3}
    batch = traces.one("process_batch events")
    assert batch.parent is None
    assert trace_id_of(batch) not in (TRACE_ID, "a" * 32)
    assert links_of(batch) == [SPAN_ID, "b" * 16]
    assert attributes_of(batch)["messaging.batch.message_count"] == 4
    first, second = traces.named("process events")
    assert (trace_id_of(first), parent_of(first)) == (TRACE_ID, SPAN_ID)
    assert (trace_id_of(second), parent_of(second)) == ("a" * 32, "b" * 16)
    assert links_of(first) == links_of(second) == [span_id_of(batch)]
    assert first.kind is SpanKind.CONSUMER
    assert attributes_of(second) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "events",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 3,
        "messaging.message.id": "e3",
    }
    assert spans.contexts[0] == (f"00-{TRACE_ID}-{span_id_of(first)}-01", None)


def test_a_batch_without_a_sampled_record_has_no_span(traces: Traces) -> None:
    with record_spans(batch_of(None, UNSAMPLED, "nonsense"), sampled_context) as spans:
        assert spans is NO_SPANS
    assert traces.all() == []


def test_without_tracing_there_are_no_spans() -> None:
    assert tracer_in_use() is None
    with record_spans(batch_of(SAMPLED), sampled_context) as spans:
        assert spans is NO_SPANS
        with spans.sending("t", 1, [0]):
            pass


@pytest.mark.parametrize(
    ("sampler", "argument", "expected"),
    [
        ("parentbased_traceidratio", "0", 2),  # the senders have decided, for the batch too
        ("parentbased_always_off", "", 2),
        ("traceidratio", "0", 0),
        ("always_off", "", 0),
    ],
)
def test_a_batch_is_sampled_like_its_records(
    sampler: str, argument: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    with tracing() as traces:
        with record_spans(batch_of(SAMPLED, None), sampled_context) as spans:
            assert bool(spans.contexts) == bool(expected)
        assert len(traces.all()) == expected


def test_a_publication_is_a_span_of_the_batch_and_appears_in_the_trace_of_each_sender(traces: Traces) -> None:
    with record_spans(batch_of(SAMPLED, OTHER), sampled_context) as spans, spans.sending("out", 5, [1]):
        inner = trace.get_current_span().get_span_context().span_id
    batch, (first, second) = traces.one("process_batch events"), traces.named("process events")
    publication, part = traces.named("send out")
    assert parent_of(publication) == span_id_of(batch)
    assert span_id_of(publication) == f"{inner:016x}"
    assert links_of(publication) == [span_id_of(second)]
    assert (trace_id_of(part), parent_of(part)) == ("a" * 32, span_id_of(second))
    assert links_of(part) == [span_id_of(publication)]
    assert (part.start_time, part.end_time) == (publication.start_time, publication.end_time)
    assert attributes_of(part)["messaging.batch.message_count"] == 5
    assert first.status.status_code is StatusCode.UNSET


def test_a_failure_marks_every_span_by_its_type_and_not_by_its_text(traces: Traces) -> None:
    with (
        pytest.raises(ValueError, match="secret"),
        record_spans(batch_of(SAMPLED), sampled_context) as spans,
        spans.sending("out", 1, [0]),
    ):
        raise ValueError("secret")
    assert len(traces.all()) == 4
    for span in traces.all():
        assert span.status.status_code is StatusCode.ERROR
        assert attributes_of(span)["error.type"] == "ValueError"
        assert "secret" not in span.to_json()


def test_spans_and_links_of_one_batch_are_bounded(traces: Traces) -> None:
    with record_spans(batch_of(None, *[SAMPLED] * (RECORDS_MAX + 20)), sampled_context) as spans:
        assert sorted(spans.contexts) == list(range(1, RECORDS_MAX + 1))
    batch = traces.one("process_batch events")
    assert len(batch.links) == LINKS_MAX < RECORDS_MAX
    assert attributes_of(batch)["messaging.batch.message_count"] == RECORDS_MAX + 21


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"traceparent": SAMPLED.encode()}, (SAMPLED, None)),
        ({"traceparent": SAMPLED.encode(), "tracestate": b"a=1"}, (SAMPLED, "a=1")),
        ({"traceparent": SAMPLED.encode(), "tracestate": None}, (SAMPLED, None)),
        ({"traceparent": UNSAMPLED.encode()}, None),
        ({"traceparent": None}, None),
        ({"traceparent": b"\xff" * 55}, None),
        ({"tracestate": b"a=1"}, None),
        ({}, None),
    ],
)
def test_the_context_of_an_event_counts_if_it_is_valid_and_sampled(
    headers: Mapping[str, bytes | None], expected: Any
) -> None:
    assert sampled_context(record(0, **headers).headers) == expected


def test_of_several_headers_the_last_counts() -> None:
    headers = [("traceparent", OTHER.encode()), ("traceparent", UNSAMPLED.encode())]
    assert sampled_context(headers) is None
    assert sampled_context(headers[::-1]) == (OTHER, None)


def test_the_last_bit_of_the_flags_says_sampled() -> None:
    for flags in range(256):
        assert is_sampled(f"00-{TRACE_ID}-{SPAN_ID}-{flags:02x}") == bool(flags & 1)


def test_a_trace_state_stays_with_its_trace(traces: Traces) -> None:
    tracer = tracer_in_use()
    assert tracer is not None
    with tracer.batch("t", 1, {0: Source((SAMPLED, "a=1,b=2"), {})}) as spans:
        assert spans.contexts[0][1] == "a=1,b=2"
    assert not context_of(traces.one("process_batch t")).trace_state
