"""Signs and sends one delivery, and turns whatever happens into an answer."""

import logging
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from triptych.webhooks.http.client import Client, NotHttp
from triptych.webhooks.http.resolver import NameNotResolved
from triptych.webhooks.model.addresses import ForbiddenAddress
from triptych.webhooks.model.delivery import Failure, ListenerResponse, SentRequest
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.signing import SignedRequest, standard_body, standard_request, wix_request
from triptych.webhooks.relay.listener_cache import ListenerCache
from triptych.webhooks.store.deliveries import ClaimedDelivery
from triptych.webhooks.store.listener_documents import Listener

# Tokens and bodies of a wave: all listeners of an event that are sent the same attempt at about the same time.
WAVE_SECONDS = 10.0
WAVE_ENTRIES = 512
TEXT_MAX = 500
# A number or a date; whoever sends more says neither.
RETRY_AFTER_MAX = 64

log = logging.getLogger(__name__)


class Signer:
    """Signs attempts anew, but what several listeners get alike only once: an RSA signature costs as much as a POST."""

    def __init__(self, directory: ListenerCache, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock
        self._made: OrderedDict[tuple[str, ...], tuple[float, SignedRequest]] = OrderedDict()
        self._bodies: OrderedDict[str, bytes] = OrderedDict()

    def sign(self, listener: Listener, claimed: ClaimedDelivery, value: bytes) -> SignedRequest:
        """The request of this attempt. Its id is that of the event, on every attempt; the timestamp is now."""
        now = self._clock()
        keys = self._directory.keys_of(listener, datetime.fromtimestamp(now, UTC))
        if listener.format is not Format.WIX_JWT:
            return standard_request(claimed.event_id, self._body(claimed.event_id, value), keys, int(now))
        (key,) = keys
        wave = (claimed.event_id, key.id, str(claimed.attempts), claimed.delivery_id if claimed.manual else "")
        made = self._made.get(wave)
        if made is not None and now - made[0] < WAVE_SECONDS:
            return made[1]
        request = wix_request(value, claimed.site_id, key, int(now))
        self._made[wave] = (now, request)
        if len(self._made) > WAVE_ENTRIES:
            self._made.popitem(last=False)
        return request

    def _body(self, event_id: str, value: bytes) -> bytes:
        body = self._bodies.get(event_id)
        if body is None:
            body = self._bodies[event_id] = standard_body(value)
            if len(self._bodies) > WAVE_ENTRIES:
                self._bodies.popitem(last=False)
        return body


class DeliverySender:
    """Sends what it is given, once, within the listener's timeout."""

    def __init__(self, client: Client, signer: Signer) -> None:
        self._client = client
        self._signer = signer

    async def send(self, listener: Listener, claimed: ClaimedDelivery, value: bytes) -> SentRequest:
        """Post a delivery. Whatever happens is an answer: without one, it would be posted again and again."""
        started = time.perf_counter()
        headers: Mapping[str, str] = {}
        try:
            request = self._signer.sign(listener, claimed, value)
            headers = request.headers
            reading = await self._client.post(listener.url, headers, request.body, listener.timeout_seconds)
            answer = ListenerResponse(
                reading.status, retry_after=parse_retry_after(reading.retry_after), body=bytes(reading.body)
            )
        except Exception as error:
            failure = classify(error)
            if failure is Failure.INTERNAL:
                log.exception("delivery %s could not be sent", claimed.delivery_id)
            # Words about what a receiver sent need not be text.
            text = (str(error) or type(error).__name__)[:TEXT_MAX].encode("utf-8", "replace").decode()
            answer = ListenerResponse(None, failure, text)
        return SentRequest(listener.url, headers, replace(answer, seconds=time.perf_counter() - started))


def classify(error: Exception) -> Failure:
    """What kind of failure an exception of the client stands for."""
    match error:
        case TimeoutError():
            return Failure.TIMEOUT
        case ForbiddenAddress():
            return Failure.FORBIDDEN_ADDRESS
        case NameNotResolved():
            return Failure.NAME
        case ssl.SSLError() | ssl.CertificateError():
            return Failure.TLS
        case OSError():
            return Failure.CONNECTION
        case NotHttp() | ValueError():
            return Failure.PROTOCOL
        case _:
            return Failure.INTERNAL


def parse_retry_after(text: str | None) -> float | None:
    """Seconds to wait, from a number or a date (RFC 9110, section 10.2.3); None if it says neither.

    A date without a zone is in GMT, as all dates of HTTP are.
    """
    if text is None or len(text) > RETRY_AFTER_MAX:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return max(0.0, (at - datetime.now(UTC)).total_seconds())
    except Exception:  # noqa: BLE001 - the parser of mails was not made for what anybody may send
        return None
