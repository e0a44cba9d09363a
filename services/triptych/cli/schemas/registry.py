"""Speaks the REST protocol of Confluent's schema registry, and says clearly what went wrong."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from triptych.cli.settings import CliSettings
from triptych.kit.failures import StartRefused, TransientFailure
from triptych.kit.process.secrets import text_of_secret
from triptych.kit.process.tls import TlsFiles, client_context, lasting_tls_error, tls_reason

REQUEST_SECONDS = 30.0
"""How long one request may take. A registry stores a schema on Kafka before it answers."""
ANSWER_SECONDS = 4.0
"""How long a connection and the first answer may take: without a registry, the command ends within 5 s."""
MESSAGE_MAX = 500
"""Characters of a registry's message that are shown."""

_TYPE = "application/vnd.schemaregistry.v1+json"
_NOT_FOUND = range(40401, 40409)
"""Error codes for a subject, version, schema or level that the registry does not have."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PREFIX = "TRIPTYCH_SCHEMA_REGISTRY"


class SchemaRefused(Exception):
    """The registry accepts requests, but not this schema: it is incompatible (409) or invalid (422)."""


class Registry:
    """Made by `open_registry`. All methods raise what `_ask` raises."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        """`client` has the credentials; `url` is shown in messages."""
        self._client = client
        self._url = url.rstrip("/")

    async def check(self) -> None:
        """Make sure that this is a registry that accepts our requests, by its default level.

        Raises:
            StartRefused: it is none, does not answer, or refuses the credentials.
        """
        try:
            found = await self._ask("GET", "/config", seconds=ANSWER_SECONDS)
        except TransientFailure as failure:
            raise StartRefused(str(failure)) from None
        if found is None or "compatibilityLevel" not in found:
            raise StartRefused(f"{self._url} does not answer like a schema registry: {self._url}/config is missing.")

    async def find(self, subject: str, schema: str) -> int | None:
        """The number of the version of a subject that has this schema; None if none has."""
        found = await self._ask("POST", f"/subjects/{_quoted(subject)}", _body(schema))
        return None if found is None else self._number(found, "version")

    async def level(self, subject: str) -> str | None:
        """The compatibility level of a subject; None if it has none of its own."""
        found = await self._ask("GET", f"/config/{_quoted(subject)}")
        return None if found is None else str(found.get("compatibilityLevel"))

    async def set_level(self, subject: str, level: str) -> None:
        """Set the compatibility level of a subject, which need not exist."""
        await self._ask("PUT", f"/config/{_quoted(subject)}", {"compatibility": level})

    async def objections(self, subject: str, schema: str) -> list[str]:
        """Why the latest version and the level of a subject do not allow this schema; empty if they do."""
        path = f"/compatibility/subjects/{_quoted(subject)}/versions/latest?verbose=true"
        found = await self._ask("POST", path, _body(schema))
        if found is None or found.get("is_compatible", True):
            return []
        return [_short(str(message)) for message in found.get("messages") or ["it is not compatible"]]

    async def register(self, subject: str, schema: str) -> int:
        """Register a schema as the next version of a subject; its id. Raises SchemaRefused."""
        found = await self._ask("POST", f"/subjects/{_quoted(subject)}/versions", _body(schema))
        return self._number(found or {}, "id")

    def _number(self, found: Mapping[str, Any], field: str) -> int:
        if not isinstance(number := found.get(field), int):
            raise StartRefused(f"{self._url} does not answer like a schema registry: an answer has no {field}.")
        return number

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, seconds: float = REQUEST_SECONDS
    ) -> dict[str, Any] | None:
        """The answer to a request; None if the registry does not have what is asked for.

        Raises:
            SchemaRefused: status 409 or 422.
            StartRefused: the registry refuses the request, or the server is no registry.
            TransientFailure: no answer, or a fault of the registry.
        """
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.request(method, self._url + path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            if (lasting := lasting_tls_error(error)) is not None:
                hint = f"({_PREFIX}_CA_FILE names other authorities)"
                raise StartRefused(f"{self._url} is not trusted: {tls_reason(lasting)} {hint}") from None
            reason = _short(str(error)) or type(error).__name__
            raise TransientFailure(f"The schema registry at {self._url} does not answer: {reason}") from None
        answer = _object_of(response)
        code, message = answer.get("error_code"), _short(str(answer.get("message", "")))
        match response.status_code:
            case httpx.codes.OK:
                return answer
            case httpx.codes.NOT_FOUND if code in _NOT_FOUND:
                return None
            case httpx.codes.CONFLICT | httpx.codes.UNPROCESSABLE_ENTITY:
                raise SchemaRefused(f"{message or 'no reason given'} (status {response.status_code}, code {code})")
            case httpx.codes.UNAUTHORIZED | httpx.codes.FORBIDDEN:
                raise StartRefused(
                    f"The schema registry at {self._url} refuses the credentials (status {response.status_code}): "
                    f"check {_PREFIX}_USER and {_PREFIX}_PASSWORD, or {_PREFIX}_TOKEN."
                )
            case status if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
                raise TransientFailure(f"The schema registry at {self._url} has a fault: {message} (status {status})")
            case status:
                told = f"{method} {path} has status {status}. {message}"
                raise StartRefused(f"{self._url} does not answer like a schema registry: {told}".strip())


@asynccontextmanager
async def open_registry(settings: CliSettings, url: str) -> AsyncIterator[Registry]:
    """Connect with the credentials of the settings, and make sure that a registry answers.

    Raises:
        StartRefused: the address or the settings cannot be used, or see `Registry.check`.
    """
    password = text_of_secret(settings.schema_registry_password)
    token = text_of_secret(settings.schema_registry_token)
    check_address(url, has_credentials=bool(password or token))
    if token and (password or settings.schema_registry_user):
        raise StartRefused(f"Set {_PREFIX}_TOKEN, or {_PREFIX}_USER with {_PREFIX}_PASSWORD, but not both.")
    headers = {"accept": f"{_TYPE}, application/json", "content-type": _TYPE}
    if token:
        headers["authorization"] = f"Bearer {token}"
    files = TlsFiles(
        _PREFIX,
        settings.schema_registry_ca_file,
        settings.schema_registry_certificate_file,
        settings.schema_registry_key_file,
    )
    auth = httpx.BasicAuth(settings.schema_registry_user, password) if password else None
    limits = httpx.Timeout(REQUEST_SECONDS, connect=ANSWER_SECONDS)
    async with httpx.AsyncClient(auth=auth, headers=headers, verify=client_context(files), timeout=limits) as client:
        registry = Registry(client, url)
        await registry.check()
        yield registry


def check_address(url: str, *, has_credentials: bool) -> None:
    """Refuse an address that is none, or that would show credentials to others. Raises StartRefused."""
    try:
        address = urlsplit(url)
        host, has_user = address.hostname, address.username is not None or address.password is not None
    except ValueError:
        address, host, has_user = urlsplit(""), None, False
    if has_user:
        raise StartRefused(
            f"The address of the schema registry must not contain credentials, which others on this machine could see. "
            f"Set {_PREFIX}_USER and {_PREFIX}_PASSWORD instead."
        )
    if address.scheme not in ("http", "https") or not host or address.query or address.fragment:
        raise StartRefused(f"{url!r} is no address of a schema registry, such as https://registry.example.com")
    if has_credentials and address.scheme == "http" and host not in _LOOPBACK:
        raise StartRefused(f"{url} has no TLS, so anybody on the network could read the credentials. Use https.")


def _body(schema: str) -> dict[str, Any]:
    return {"schemaType": "JSON", "schema": schema}


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


def _object_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; an empty one if it has none."""
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _short(text: str) -> str:
    return " ".join(text.split())[:MESSAGE_MAX]
