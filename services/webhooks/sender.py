"""Signs and sends one delivery, and turns whatever happens into an answer."""

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from services.listeners.documents import Listener
from services.listeners.keys import Format
from services.webhooks.addresses import ForbiddenAddress
from services.webhooks.delivery import Answer, Failure, Sent
from services.webhooks.directory import Directory
from services.webhooks.repository import Claimed
from services.webhooks.signing import SignedRequest, standard_body, standard_request, wix_request

# Tokens and bodies of a wave: all listeners of an event that are sent the same attempt at about the same time.
WAVE_SECONDS = 10.0
WAVE_ENTRIES = 512
TEXT_MAX = 500


class Signer:
    """Signs attempts anew, but what several listeners get alike only once: an RSA signature costs as much as a POST."""

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock
        self._made: OrderedDict[tuple[str, ...], tuple[float, SignedRequest]] = OrderedDict()
        self._bodies: OrderedDict[str, bytes] = OrderedDict()

    def sign(self, listener: Listener, claimed: Claimed, value: bytes) -> SignedRequest:
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


class Sender:
    """Sends what it is given, once, within the listener's timeout."""

    def __init__(self, session: aiohttp.ClientSession, signer: Signer, answer_bytes: int) -> None:
        self._session = session
        self._signer = signer
        self._answer_bytes = answer_bytes

    async def send(self, listener: Listener, claimed: Claimed, value: bytes) -> Sent:
        """Post a delivery; failures are answers too. Raises only what is a fault of ours."""
        request = self._signer.sign(listener, claimed, value)
        started = time.perf_counter()
        answer = await self._post(listener, request)
        seconds = time.perf_counter() - started
        return Sent(listener.url, request.headers, replace(answer, seconds=seconds))

    async def _post(self, listener: Listener, request: SignedRequest) -> Answer:
        try:
            async with self._session.post(
                listener.url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                # One deadline for everything, from connecting to the last byte read.
                timeout=aiohttp.ClientTimeout(total=listener.timeout_seconds, ceil_threshold=3_600),
            ) as response:
                body = bytearray()
                # The status is the answer; a body that drips or breaks off does not change it.
                with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                    while len(body) < self._answer_bytes:
                        chunk = await response.content.read(self._answer_bytes - len(body))
                        if not chunk:
                            break
                        body += chunk
                return Answer(
                    response.status,
                    retry_after=parse_retry_after(response.headers.get("Retry-After")),
                    body=bytes(body),
                )
        except (aiohttp.ClientError, ForbiddenAddress, OSError, ValueError) as error:
            # The client's words may quote what a receiver sent, which need not be text.
            text = (str(error) or type(error).__name__)[:TEXT_MAX].encode("utf-8", "replace").decode()
            return Answer(None, classify(error), text)


def classify(error: Exception) -> Failure:
    """What kind of failure an exception of the client stands for."""
    match error:
        case TimeoutError():
            return Failure.TIMEOUT
        case ForbiddenAddress() | aiohttp.InvalidUrlClientError():
            # The client refuses addresses in decimal or octal spelling by itself.
            return Failure.FORBIDDEN_ADDRESS
        case aiohttp.ClientConnectorDNSError():
            return Failure.NAME
        case aiohttp.ClientSSLError():
            return Failure.TLS
        case aiohttp.ClientConnectionError() | OSError():
            return Failure.CONNECTION
        case _:
            return Failure.PROTOCOL


def parse_retry_after(text: str | None) -> float | None:
    """Seconds to wait, from a number or a date (RFC 9110, section 10.2.3); None if it says neither."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
