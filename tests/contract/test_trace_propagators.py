"""OpenTelemetry's propagator extracts what records, webhooks and requests carry, and we accept what it injects."""

from typing import Any

import orjson
import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers

from tests.support.tools.cases import SPAN_ID, TRACE_ID, Case, carriers, commands, spans, wire_examples
from triptych.contract.codec.envelope import decode_command, event_headers
from triptych.contract.codec.trace_context import TraceContext, sampled_context, trace_context
from triptych.contract.publishing import example_content as content
from triptych.gateway.api.dependencies import trace_of
from triptych.kit.tracing.spans import NO_OPERATION
from triptych.webhooks.model.signing import SignedRequest
from triptych.webhooks.relay.spans import in_its_span

W3C = TraceContextTextMapPropagator()
RecordHeaders = list[tuple[str, bytes]]


class OfRecords(Getter[RecordHeaders]):
    """Reads headers of Kafka as OpenTelemetry's instrumentation of clients does: the last of each name."""

    def get(self, carrier: RecordHeaders, key: str) -> list[str] | None:
        found = [value.decode() for name, value in carrier if name == key]
        return found[-1:] or None

    def keys(self, carrier: RecordHeaders) -> list[str]:
        return [name for name, _ in carrier]


def extracted(carrier: Any, getter: Any = None) -> SpanContext:
    context = W3C.extract(carrier, Context(), **({} if getter is None else {"getter": getter}))
    return trace.get_current_span(context).get_span_context()


def injected(case: Case) -> dict[str, str]:
    ids = int(case["traceId"], 16), int(case["spanId"], 16)
    state = TraceState.from_header([case["traceState"]]) if case["traceState"] else None
    span = SpanContext(*ids, is_remote=False, trace_flags=TraceFlags(case["traceFlags"]), trace_state=state)
    carrier: dict[str, str] = {}
    W3C.inject(carrier, trace.set_span_in_context(NonRecordingSpan(span), Context()))
    return carrier


def test_it_extracts_the_trace_of_every_record_that_has_one() -> None:
    traced = [one for one in wire_examples() if "traceparent" in one.example.headers]
    assert {one.schema_folder for one in traced} == {"commands", "events"}
    for one in traced:
        found = extracted([(name, text.encode()) for name, text in one.example.headers.items()], OfRecords())
        ids = f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"
        assert (ids, found.trace_state.to_header()) == (content.TRACEPARENT, content.TRACESTATE)


@pytest.mark.parametrize("case", carriers(), ids=lambda case: case["name"])
def test_it_extracts_what_we_pass_on(case: Case) -> None:
    parent, state = trace_context(case["headers"])
    found = extracted({"traceparent": parent, **({"tracestate": state} if state else {})})
    assert (f"{found.trace_id:032x}", f"{found.span_id:016x}") == (TRACE_ID, SPAN_ID)
    assert found.trace_flags == int(case["headers"]["traceparent"][-2:], 16)
    assert found.trace_state.to_header() == (case["headers"].get("tracestate") or "")


@pytest.mark.parametrize("case", spans(), ids=lambda case: case["name"])
def test_we_accept_what_it_injects_into_records_and_requests(case: Case) -> None:
    carrier = injected(case)
    flags, state = case["traceFlags"], case["traceState"] or None
    wanted = TraceContext(f"00-{TRACE_ID}-{SPAN_ID}-{flags:02x}", state)
    command = commands()[0]
    attributes = {f"ce_{name}": text for name, text in command["attributes"].items()}
    headers = [(name, text.encode()) for name, text in {**attributes, **carrier}.items()]
    envelope = decode_command(orjson.dumps(command["data"]), headers)
    assert TraceContext(envelope.traceparent, envelope.tracestate) == wanted
    assert trace_of(Headers(carrier)) == wanted
    event = event_headers(headers)
    assert TraceContext(event.traceparent, event.tracestate) == wanted


def test_it_extracts_the_span_that_a_delivery_names() -> None:
    class Posting(type(NO_OPERATION)):  # type: ignore[misc]  # a span that is traced, without an exporter
        context = (f"00-{TRACE_ID}-{SPAN_ID}-01", None)

    request = in_its_span(SignedRequest({"content-type": "application/json"}, b"{}"), Posting())
    found = extracted(request.headers)
    assert (f"{found.trace_id:032x}", f"{found.span_id:016x}", found.trace_flags) == (TRACE_ID, SPAN_ID, 1)


FIRST, LAST = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{TRACE_ID}-{SPAN_ID}-01"


@pytest.mark.parametrize(
    ("parents", "counts"),
    [([FIRST, LAST], LAST), ([LAST, LAST], LAST), ([FIRST, "broken"], None), (["broken", LAST], LAST)],
)
def test_of_several_traceparents_on_a_record_the_last_counts(parents: list[str], counts: str | None) -> None:
    command = commands()[0]
    headers = [(f"ce_{name}", text.encode()) for name, text in command["attributes"].items()]
    headers += [("traceparent", parent.encode()) for parent in parents]
    assert decode_command(orjson.dumps(command["data"]), headers).traceparent == counts
    assert event_headers(headers).traceparent == counts
    sampled = sampled_context(headers)
    assert (sampled and sampled.traceparent) == counts
    found = extracted(headers, OfRecords())
    assert found.is_valid == (counts is not None)


@pytest.mark.parametrize("parents", [[FIRST, LAST], [LAST, LAST]])
def test_of_several_traceparents_on_a_request_none_counts(parents: list[str]) -> None:
    request = Headers(raw=[(b"traceparent", parent.encode()) for parent in parents])
    assert trace_of(request) == TraceContext()
