"""Gives each attempt of a delivery its span, if tracing is on and the trace of the event is sampled."""

from urllib.parse import urlsplit

from triptych.contract.codec.trace_context import TRACEPARENT
from triptych.kit.tracing.messages import MESSAGE_ID
from triptych.kit.tracing.spans import NO_OPERATION, Operation, tracer_in_use
from triptych.webhooks.model.delivery import ListenerResponse
from triptych.webhooks.model.signing import SignedRequest
from triptych.webhooks.store.deliveries import ClaimedDelivery
from triptych.webhooks.store.listener_documents import Listener


def delivery_span(listener: Listener, claimed: ClaimedDelivery) -> Operation:
    """The span of an attempt. Of the address it has the host only: user, path and query may have secrets."""
    tracer = tracer_in_use()
    if tracer is None or claimed.trace is None:
        return NO_OPERATION
    return tracer.post(
        "POST webhook",
        claimed.trace,
        {
            "http.request.method": "POST",
            **_server(listener.url),
            "triptych.listener.id": listener.id,
            "triptych.delivery.id": claimed.delivery_id,
            "triptych.delivery.attempt": claimed.attempts,
            MESSAGE_ID: claimed.event_id,
        },
    )


def in_its_span(request: SignedRequest, span: Operation) -> SignedRequest:
    """The same request with the span's traceparent, if there is one.

    No signature covers that header. A tracestate is not sent: it belongs to the systems of whoever made the write.
    """
    if span.context is None or span.context[0] is None:
        return request
    return SignedRequest({**request.headers, TRACEPARENT: span.context[0]}, request.body)


def note_response(span: Operation, response: ListenerResponse) -> None:
    """Note the result of an attempt."""
    if span.context is None:
        return
    if response.status is not None:
        span.note({"http.response.status_code": response.status})
        if response.status >= 400:
            span.fail(str(response.status))
    elif response.failure is not None:
        span.fail(response.failure.value)


def _server(url: str) -> dict[str, str | int]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return {"url.scheme": parts.scheme, "server.address": parts.hostname or "", "server.port": port}
    except ValueError:  # the attempt says what is wrong
        return {}
