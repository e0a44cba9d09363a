"""Signs and posts one delivery, and turns every result into a `ListenerResponse`."""

import logging
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.clock import unix_seconds, utc_now
from triptych.kit.tracing.spans import Operation
from triptych.webhooks.http.client import Client, NotHttp
from triptych.webhooks.http.resolver import NameNotResolved
from triptych.webhooks.model.addresses import ForbiddenAddress
from triptych.webhooks.model.delivery import AttemptFailure, ListenerResponse, SentRequest
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.signing import SignedRequest, standard_body, standard_request, wix_request
from triptych.webhooks.relay.listener_cache import ListenerCache
from triptych.webhooks.relay.listener_health import named_in_log
from triptych.webhooks.relay.spans import delivery_span, in_its_span, note_response
from triptych.webhooks.store.deliveries import ClaimedDelivery
from triptych.webhooks.store.listener_documents import Listener

# A wave is the same attempt for all listeners of an event, at about the same time. It shares tokens and bodies.
WAVE_SECONDS = 10.0
WAVE_ENTRIES = 512
TEXT_MAX = 500
# Characters of a Retry-After field. A longer value is neither a number nor a date.
RETRY_AFTER_MAX = 64

log = get_logger(__name__)


class Signer:
    """Signs each attempt, and shares the token of a wave among listeners: an RSA signature costs as much as a POST."""

    def __init__(self, listener_cache: ListenerCache, clock: Callable[[], float] = unix_seconds) -> None:
        self._listener_cache = listener_cache
        self._clock = clock
        self._tokens: OrderedDict[tuple[str, ...], tuple[float, SignedRequest]] = OrderedDict()
        self._bodies: OrderedDict[str, bytes] = OrderedDict()

    def sign(self, listener: Listener, claimed: ClaimedDelivery, value: bytes) -> SignedRequest:
        """The request of this attempt. Its id is the event's id on every attempt; its timestamp is now."""
        now = self._clock()
        keys = self._listener_cache.keys_of(listener, datetime.fromtimestamp(now, UTC))
        if listener.format is not Format.WIX_JWT:
            return standard_request(claimed.event_id, self._body(claimed.event_id, value), keys, int(now))
        (key,) = keys
        wave = (claimed.event_id, key.id, str(claimed.attempts), claimed.delivery_id if claimed.manual else "")
        cached = self._tokens.get(wave)
        if cached is not None and now - cached[0] < WAVE_SECONDS:
            return cached[1]
        request = wix_request(value, claimed.site_id, key, int(now))
        self._tokens[wave] = (now, request)
        if len(self._tokens) > WAVE_ENTRIES:
            self._tokens.popitem(last=False)
        return request

    def _body(self, event_id: str, value: bytes) -> bytes:
        body = self._bodies.get(event_id)
        if body is None:
            body = self._bodies[event_id] = standard_body(value)
            if len(self._bodies) > WAVE_ENTRIES:
                self._bodies.popitem(last=False)
        return body


class DeliverySender:
    """Sends a delivery once, within the listener's timeout."""

    def __init__(self, client: Client, signer: Signer) -> None:
        self._client = client
        self._signer = signer

    async def send(self, listener: Listener, claimed: ClaimedDelivery, value: bytes) -> SentRequest:
        """Post a delivery. Every exception becomes a failure: without a result it would be posted for ever."""
        with delivery_span(listener, claimed) as span:
            sent = await self._send(listener, claimed, value, span)
            note_response(span, sent.response)
            return sent

    async def _send(self, listener: Listener, claimed: ClaimedDelivery, value: bytes, span: Operation) -> SentRequest:
        started = time.perf_counter()
        headers: Mapping[str, str] = {}
        try:
            request = in_its_span(self._signer.sign(listener, claimed, value), span)
            headers = request.headers
            reader = await self._client.post(listener.url, headers, request.body, listener.timeout_seconds)
            response = ListenerResponse(
                reader.status, retry_after=parse_retry_after(reader.retry_after), body=bytes(reader.body)
            )
        except Exception as error:  # noqa: BLE001 - without a result the delivery would be posted for ever
            failure = classify(error)
            if failure is AttemptFailure.INTERNAL:
                report(log, logging.ERROR, "deliveries could not be sent", [claimed], named_in_log, error=error)
            # The message may quote bytes of the receiver that are not text.
            text = (str(error) or type(error).__name__)[:TEXT_MAX].encode("utf-8", "replace").decode()
            response = ListenerResponse(None, failure, text)
        return SentRequest(listener.url, headers, replace(response, seconds=time.perf_counter() - started))


def classify(error: Exception) -> AttemptFailure:
    """The kind of failure that an exception of the client means."""
    match error:
        case TimeoutError():
            return AttemptFailure.TIMEOUT
        case ForbiddenAddress():
            return AttemptFailure.FORBIDDEN_ADDRESS
        case NameNotResolved():
            return AttemptFailure.NAME
        case ssl.SSLError() | ssl.CertificateError():
            return AttemptFailure.TLS
        case OSError():
            return AttemptFailure.CONNECTION
        case NotHttp() | ValueError():
            return AttemptFailure.PROTOCOL
        case _:
            return AttemptFailure.INTERNAL


def parse_retry_after(text: str | None) -> float | None:
    """Seconds to wait, from a number or a date (RFC 9110, section 10.2.3); None if the text is neither.

    A date without a zone is in GMT, like all HTTP dates.
    """
    if text is None or len(text) > RETRY_AFTER_MAX:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return max(0.0, (at - utc_now()).total_seconds())
    except Exception:  # noqa: BLE001 - the parser is made for mail, and arbitrary text makes it fail in many ways
        return None
