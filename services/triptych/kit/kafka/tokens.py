"""Provides the tokens of OAUTHBEARER: from a file that somebody rotates, or from a token URL by client credentials."""

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus
from weakref import WeakKeyDictionary

import httpx
import jwt
from aiokafka.abc import AbstractTokenProvider

from triptych.kit.failures import StartRefused
from triptych.kit.kafka.errors import TokenRefused, TokenUnavailable
from triptych.kit.process.kafka_settings import KafkaSettings
from triptych.kit.process.secrets import read_secret
from triptych.kit.process.tls import TlsFiles, client_context, lasting_tls_error, tls_reason

REQUEST_SECONDS = 3.0
"""How long a request for a token may take. Less than a starting process waits for Kafka."""
MARGIN_SECONDS = 30.0
"""A token is requested again this long before it expires, but not in the first half of its life."""
SKEW_SECONDS = 60.0
"""By how much the clocks of this machine and of the brokers may differ."""

_LIFE_MAX_SECONDS = 366 * 24 * 3_600.0
_REFUSALS = (400, 401, 403)
_ERROR_CODE = re.compile(r"[a-z_]{1,60}")
_WHERE = "TRIPTYCH_KAFKA_OAUTH_TOKEN_URL"


class FileTokens(AbstractTokenProvider):  # type: ignore[misc]
    """Reads the token for each connection, so that a rotated token needs no restart."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """`clock` returns seconds since 1970."""
        self._path = path
        self._clock = clock

    async def token(self) -> str:
        """The token. Raises TokenRefused."""
        name = f"TRIPTYCH_KAFKA_OAUTH_TOKEN_FILE: {self._path}"
        try:
            token = read_secret(self._path)
        except ValueError as problem:
            raise TokenRefused(f"{name} {problem}") from None
        expired = expiry_of(token)
        # The brokers decide. This only gives a reason: they answer `invalid_token` to everything that they refuse.
        if expired is not None and expired + SKEW_SECONDS < self._clock():
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expired))
            raise TokenRefused(f"{name} holds a token that expired at {at}")
        return token


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for a token by client credentials (RFC 6749, section 4.4)."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    ca_file: Path | None = None


class RequestedTokens(AbstractTokenProvider):  # type: ignore[misc]
    """Requests a token, and uses it for all connections until shortly before it expires."""

    def __init__(self, request: TokenRequest, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds. Raises StartRefused if the file of authorities cannot be used."""
        self._request = request
        self._clock = clock
        self._context: ssl.SSLContext = client_context(TlsFiles("TRIPTYCH_KAFKA_OAUTH", request.ca_file))
        self._one_at_a_time = asyncio.Lock()
        self._token = ""
        self._renew_at = 0.0

    async def token(self) -> str:
        """The token. Raises TokenRefused and TokenUnavailable."""
        async with self._one_at_a_time:
            if not self._token or self._clock() >= self._renew_at:
                asked_at = self._clock()
                self._token, seconds = await self._ask()
                self._renew_at = asked_at + max(seconds - MARGIN_SECONDS, seconds / 2)
            return self._token

    async def _ask(self) -> tuple[str, float]:
        request = self._request
        form = {"grant_type": "client_credentials", **({"scope": request.scope} if request.scope else {})}
        # RFC 6749, section 2.3.1: both are encoded as in a form before they become a user and a password.
        credentials = (quote_plus(request.client_id), quote_plus(request.client_secret))
        try:
            async with asyncio.timeout(REQUEST_SECONDS), httpx.AsyncClient(verify=self._context) as client:
                response = await client.post(request.url, data=form, auth=credentials, timeout=REQUEST_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            lasting = lasting_tls_error(error)
            if lasting is not None:
                raise TokenRefused(f"{request.url} is not trusted: {tls_reason(lasting)} ({_WHERE})") from None
            if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
                raise TokenRefused(f"{_WHERE} is no address") from None
            raise TokenUnavailable(f"{request.url} gives no token ({_WHERE})") from None
        return _read(response, request.url)


def _read(response: httpx.Response, url: str) -> tuple[str, float]:
    """The token of a response, and the seconds of its life; 0 if it says nothing of that."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    answer = answer if isinstance(answer, dict) else {}
    if response.status_code in _REFUSALS:
        code = str(answer.get("error", ""))
        reason = f", {code}" if _ERROR_CODE.fullmatch(code) else ""
        raise TokenRefused(
            f"{url} refuses the client (status {response.status_code}{reason}): check TRIPTYCH_KAFKA_OAUTH_CLIENT_ID, "
            "TRIPTYCH_KAFKA_OAUTH_CLIENT_SECRET and TRIPTYCH_KAFKA_OAUTH_SCOPE"
        )
    token = answer.get("access_token")
    if response.status_code != httpx.codes.OK or not isinstance(token, str) or not token:
        raise TokenUnavailable(f"{url} gives no token (status {response.status_code}; {_WHERE})")
    return token, _seconds(answer.get("expires_in"))


def _seconds(value: object) -> float:
    """The life of a token; 0 if it is not known. Some servers write the number as a text."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < _LIFE_MAX_SECONDS else 0.0


def expiry_of(token: str) -> float | None:
    """When a JSON web token expires, in seconds since 1970; None if the token says nothing that can be read."""
    try:
        expires = jwt.decode(token, options={"verify_signature": False}).get("exp")
    except jwt.PyJWTError:
        return None
    return float(expires) if isinstance(expires, int | float) else None


_requested: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[TokenRequest, RequestedTokens]] = WeakKeyDictionary()
"""The providers of each event loop: all clients of a process share one token."""


def token_provider(settings: KafkaSettings) -> AbstractTokenProvider:
    """The provider that the settings describe. Needs a running event loop. Raises StartRefused."""
    if settings.kafka_oauth_token_file is not None:
        return FileTokens(settings.kafka_oauth_token_file)
    url, client_id, secret = (
        settings.kafka_oauth_token_url,
        settings.kafka_oauth_client_id,
        settings.kafka_oauth_client_secret,
    )
    if url is None or client_id is None or secret is None:  # the settings' own check has found this already
        raise StartRefused("OAUTHBEARER needs a token file or a token URL with a client.")
    request = TokenRequest(
        url, client_id, secret.get_secret_value(), settings.kafka_oauth_scope or None, settings.kafka_oauth_ca_file
    )
    providers = _requested.setdefault(asyncio.get_running_loop(), {})
    if request not in providers:
        providers[request] = RequestedTokens(request)
    return providers[request]
