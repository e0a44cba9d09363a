"""The spans of requests: their names and parents, what has none, and that no request fails because of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi import FastAPI
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.gateway_alone import request, standalone_gateway
from tests.support.traces import (
    SAMPLED,
    SPAN_ID,
    TRACE_ID,
    UNSAMPLED,
    Traces,
    attributes_of,
    parent_of,
    span_id_of,
    trace_id_of,
    tracing,
)
from triptych.contract.codec.envelope import CommandEnvelope
from triptych.contract.commands import DeleteGallery
from triptych.gateway.writing.spans import in_its_span, send_span
from triptych.kit.tracing.spans import tracer_in_use

G = "0198c0de-0000-4000-8000-000000000001"
ENVELOPE = CommandEnvelope("c", "s", "DeleteGallery", DeleteGallery(gallery_id=G), None, "r", SAMPLED, tracestate="a=1")


@dataclass(frozen=True)
class Gateway:
    """A gateway that was made while tracing was on, and its spans."""

    app: FastAPI
    traces: Traces


@pytest.fixture(scope="module")
def made() -> Iterator[Gateway]:
    """One gateway for all tests: it takes half a second to make."""
    with tracing() as traces:
        yield Gateway(standalone_gateway(), traces)


@pytest.fixture
def gateway(made: Gateway) -> Gateway:
    """The gateway, without the spans of earlier tests."""
    made.traces.clear()
    return made


async def test_a_request_has_a_span_in_the_trace_of_its_client(gateway: Gateway) -> None:
    target = f"/progallery/v2/galleries/{G}?cursor=secret".encode()
    reply = await request(gateway.app, "GET", target, {"traceparent": SAMPLED.encode(), "host": b"h:1"})
    assert reply.status == 404
    span = gateway.traces.one("GET /progallery/v2/galleries/{galleryId}")
    assert (trace_id_of(span), parent_of(span)) == (TRACE_ID, SPAN_ID)
    assert span.kind is SpanKind.SERVER
    found = attributes_of(span)
    assert found["http.response.status_code"] == 404
    assert found["http.route"] == "/progallery/v2/galleries/{galleryId}"
    assert found["triptych.request.id"] == reply.headers["x-wix-request-id"]
    assert "secret" not in span.to_json()
    assert "authorization" not in span.to_json().lower()


async def test_head_is_named_after_its_route(gateway: Gateway) -> None:
    await request(gateway.app, "HEAD", f"/progallery/v2/galleries/{G}".encode())
    assert gateway.traces.one("HEAD /progallery/v2/galleries/{galleryId}").parent is None


@pytest.mark.parametrize(
    "target",
    ["/health/live", "/health/ready", "/metrics", "/progallery/v2/events", f"/progallery/v2/galleries/{G}/events"],
)
async def test_health_metrics_and_live_streams_have_no_span(target: str, gateway: Gateway) -> None:
    reply = await request(gateway.app, "GET", target.encode())
    assert reply.status in (200, 404)
    assert gateway.traces.all() == []


async def test_a_stream_is_served_while_tracing_is_on(gateway: Gateway) -> None:
    reply = await request(gateway.app, "GET", b"/progallery/v2/events")
    assert reply.body.startswith(b"retry: ")


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (b"/progallery/v2/galleries?limit=\xff", []),
        (b"/progallery/v2/galleries?%ff=%ff", [("host", b"\xff[")]),
        (b"/progallery/v2/galleries", [("host", b"[::1"), ("user-agent", b"\xff"), ("traceparent", b"\xff")]),
        (
            b"/progallery/v2/galleries",
            [("traceparent", SAMPLED.encode()), ("tracestate", b"\xff=,,"), ("baggage", b"\xff=%zz;")],
        ),
        (b"/progallery/v2/galleries", [("traceparent", SAMPLED.encode())] * 2),
        (b"/progallery/v2/galleries/%ff%00", [("traceparent", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01")]),
    ],
)
async def test_bytes_from_outside_make_no_request_fail(
    target: bytes, headers: list[tuple[str, bytes]], gateway: Gateway
) -> None:
    reply = await _answer(gateway.app, target, headers)
    assert reply < 500
    assert len(gateway.traces.all()) == 1
    assert attributes_of(gateway.traces.all()[0])["http.response.status_code"] == reply


async def _answer(app: FastAPI, target: bytes, headers: list[tuple[str, bytes]]) -> int:
    path, _, query = target.partition(b"?")

    async def with_bytes(scope: dict, receive: object, send: object) -> None:  # type: ignore[type-arg]
        await app({**scope, "query_string": query}, receive, send)  # type: ignore[arg-type]

    return (await request(with_bytes, "GET", path, headers)).status  # type: ignore[arg-type]


def test_a_command_continues_the_trace_of_its_publication(gateway: Gateway) -> None:
    tracer = tracer_in_use()
    assert tracer is not None
    with tracer.step("request", (SAMPLED, None), {}), send_span("commands", ENVELOPE) as span:
        sent = in_its_span(ENVELOPE, span)
    publication = gateway.traces.one("send commands")
    assert parent_of(publication) == span_id_of(gateway.traces.one("request"))
    assert sent.traceparent == f"00-{TRACE_ID}-{span_id_of(publication)}-01"
    assert sent.tracestate == "a=1"
    assert publication.kind is SpanKind.PRODUCER
    assert attributes_of(publication)["messaging.message.conversation_id"] == "r"


def test_a_command_keeps_the_context_of_a_request_without_a_span(gateway: Gateway) -> None:
    tracer = tracer_in_use()
    assert tracer is not None
    with tracer.step("request", (UNSAMPLED, None), {}), send_span("commands", ENVELOPE) as span:
        assert in_its_span(ENVELOPE, span) is ENVELOPE
    assert gateway.traces.all() == []


def test_a_publication_that_fails_says_so(gateway: Gateway) -> None:
    tracer = tracer_in_use()
    assert tracer is not None
    with (
        tracer.step("request", (SAMPLED, None), {}),
        pytest.raises(ValueError, match="secret"),
        send_span("commands", ENVELOPE),
    ):
        raise ValueError("secret")
    span = gateway.traces.one("send commands")
    assert span.status.status_code is StatusCode.ERROR
    assert attributes_of(span)["error.type"] == "ValueError"
    assert "secret" not in span.to_json()
