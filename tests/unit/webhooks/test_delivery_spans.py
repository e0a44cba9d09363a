"""The span of an attempt: its trace, what the listener is told of it, and what it never has."""

from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.listener_examples import claimed, listener
from tests.support.traces import SAMPLED, SPAN_ID, TRACE_ID, UNSAMPLED, Traces, attributes_of, parent_of, span_id_of
from triptych.webhooks.model.delivery import SentRequest
from triptych.webhooks.model.signing import SignedRequest
from triptych.webhooks.relay.sender import DeliverySender
from triptych.webhooks.store.delivery_documents import trace_fields, trace_of

URL = "https://user:secret@hooks.example.com:8443/secret/path?token=secret"
HEADERS = {"content-type": "text/plain"}


class Response:
    """The response of a listener."""

    retry_after = None
    body = b"secret"

    def __init__(self, status: int) -> None:
        self.status = status


class Listener:
    """A client and a signer in one: it signs with the same headers always, and answers with a status or an error."""

    def __init__(self, answer: int | Exception) -> None:
        self._answer = answer
        self.headers: list[dict[str, str]] = []

    def sign(self, *_arguments: Any) -> SignedRequest:
        return SignedRequest(HEADERS, b"{}")

    async def post(self, _url: str, headers: dict[str, str], _body: bytes, _seconds: float) -> Response:
        self.headers.append(headers)
        if isinstance(self._answer, Exception):
            raise self._answer
        return Response(self._answer)


async def attempt(answer: int | Exception, **fields: Any) -> tuple[SentRequest, dict[str, str]]:
    both: Any = Listener(answer)
    sent = await DeliverySender(both, both).send(listener(url=URL), claimed(**fields), b"{}")
    return sent, both.headers[0]


async def test_an_attempt_is_a_span_in_the_trace_of_its_event_and_the_listener_is_told(traces: Traces) -> None:
    sent, headers = await attempt(200, trace=(SAMPLED, "a=1"), attempts=3)
    span = traces.one("POST webhook")
    assert parent_of(span) == SPAN_ID
    assert span.kind is SpanKind.CLIENT
    # The trace state belongs to whoever made the write; a listener gets none.
    assert headers == sent.headers == {**HEADERS, "traceparent": f"00-{TRACE_ID}-{span_id_of(span)}-01"}
    assert HEADERS == {"content-type": "text/plain"}  # one signature serves several listeners
    assert attributes_of(span) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.scheme": "https",
        "server.address": "hooks.example.com",
        "server.port": 8443,
        "triptych.listener.id": "l",
        "triptych.delivery.id": "d",
        "triptych.delivery.attempt": 3,
        "messaging.message.id": "e",
    }
    assert "secret" not in span.to_json()


@pytest.mark.parametrize("trace", [None, (UNSAMPLED, None)])
async def test_every_other_request_is_the_same_as_without_tracing(trace: Any, traces: Traces) -> None:
    _, headers = await attempt(200, trace=trace)
    assert headers == HEADERS
    assert traces.all() == []


async def test_without_tracing_a_request_is_the_same_as_ever() -> None:
    _, headers = await attempt(200, trace=(SAMPLED, None))
    assert headers == HEADERS


@pytest.mark.parametrize(
    ("answer", "error_type"),
    [(500, "500"), (410, "410"), (TimeoutError("secret"), "timeout"), (KeyError("secret"), "internal")],
)
async def test_a_failed_attempt_is_a_failed_span(answer: int | Exception, error_type: str, traces: Traces) -> None:
    await attempt(answer, trace=(SAMPLED, None))
    span = traces.one("POST webhook")
    assert span.status.status_code is StatusCode.ERROR
    assert attributes_of(span)["error.type"] == error_type
    assert "secret" not in span.to_json()


@pytest.mark.parametrize("context", [(SAMPLED, None), (SAMPLED, "a=1")])
def test_the_context_of_an_event_is_stored_with_it(context: tuple[str, str | None]) -> None:
    assert trace_of(trace_fields(*context)) == context
    assert trace_of({}) is None
