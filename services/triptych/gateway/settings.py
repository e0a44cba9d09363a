"""Settings of the gateway."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from triptych.kit.process.settings import IdempotencySettings
from triptych.readmodel.weighing import LARGE_BYTES
from triptych.webhooks.model.addresses import Network, parse_networks
from triptych.webhooks.store.settings import ListenerSettings

_NOTHING = timedelta(0)
ProxyHeader = Literal["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"]


class GatewaySettings(ListenerSettings, IdempotencySettings):
    """Settings of the gateway process, read as `KitSettings` describes; durations are seconds or ISO 8601."""

    gateway_port: int = Field(8080, ge=0, le=65_535)
    """Port of the API, health and metrics; 0 chooses a free one."""
    gateway_tls_certificate_file: Path | None = None
    """The certificate (PEM, with its chain) of an HTTPS server; plain HTTP if unset. Read again when it changes."""
    gateway_tls_key_file: Path | None = None
    """The key (PEM) of the certificate, if it is not in the file of the certificate."""
    gateway_tls_key_password: SecretStr | None = None
    """The password of the key, if it is encrypted."""
    gateway_tls_minimum: Literal["1.2", "1.3"] = "1.2"
    """The lowest version of TLS that the server accepts."""
    gateway_trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    """Networks of proxies whose headers about the client are believed, in CIDR notation, separated by commas."""
    gateway_proxy_headers: Annotated[tuple[ProxyHeader, ...], NoDecode] = ("x-forwarded-for", "x-forwarded-proto")
    """The headers that these proxies set: of `x-forwarded-for`, `x-forwarded-proto`, `x-forwarded-host`, or
    `forwarded` alone. A header that a proxy only passes on was written by the client."""
    gateway_answers_limit: int = Field(64 * 1024 * 1024, ge=LARGE_BYTES)
    """Bytes of items that all responses together hold in memory, half of them for one site. Further responses wait."""
    gateway_body_limit: int = Field(15 * 1024 * 1024, ge=1)
    """Largest request body in bytes, compressed or not; 413 beyond. The default is the largest size of a command."""
    gateway_publish_timeout: timedelta = Field(timedelta(seconds=5), gt=_NOTHING)
    """How long a write waits until Kafka has acknowledged its command; 503 beyond."""
    gateway_reply_timeout: timedelta = Field(timedelta(seconds=10), gt=_NOTHING)
    """How long a write waits for the reply to its command; 504 beyond."""
    gateway_view_timeout: timedelta = Field(timedelta(seconds=5), gt=_NOTHING)
    """How long a write waits until the read model shows it; beyond, the response comes from the write model."""
    gateway_key_cache: timedelta = Field(timedelta(seconds=5), ge=_NOTHING)
    """How long a revoked key may still be accepted."""
    gateway_requests_per_minute: int | None = Field(None, ge=1)
    """Requests a minute for each key at each gateway, with a burst of the same size; 429 beyond. Unlimited if unset."""
    gateway_access_log: bool = False
    """Log one line for each request. Otherwise, only requests with a key that are refused are logged."""
    gateway_cors_origins: str = ""
    """Origins whose pages may use the API in browsers, separated by commas, or `*` for all; none if empty."""
    gateway_lines_requests: int = Field(8, ge=0)
    """Largest number of requests with lines (`…/items/bulk/lines`) that are open at the same time; 429 beyond."""
    gateway_lines_count: int = Field(100_000, ge=1)
    """Largest number of lines in one request, blank ones included; the response ends there."""
    gateway_lines_bytes: int = Field(1024 * 1024 * 1024, ge=1)
    """Largest body of a request with lines, in bytes, compressed or not; 413, or the response ends there."""
    gateway_lines_timeout: timedelta = Field(timedelta(minutes=15), gt=_NOTHING)
    """How long one request with lines may take before its client has to repeat it with the same idempotency key."""
    gateway_streams: int = Field(1_000, ge=0)
    """Largest number of live streams that are open at the same time; 429 beyond."""
    gateway_stream_lifetime: timedelta = Field(timedelta(minutes=15), gt=_NOTHING)
    """How long one live stream lasts before its client has to resume it."""
    gateway_stream_heartbeat: timedelta = Field(timedelta(seconds=15), gt=_NOTHING)
    """How long a stream without events waits, at most, until it sends a heartbeat."""
    gateway_stream_resume: int = Field(100_000, ge=0)
    """Largest number of records that the gateway reads to resume a stream; 410 beyond."""

    @field_validator("gateway_tls_certificate_file", "gateway_tls_key_file", mode="before")
    @classmethod
    def _files(cls, value: object) -> object:
        return value or None  # compose files pass on unset variables as empty ones

    @field_validator("gateway_trusted_proxies", mode="before")
    @classmethod
    def _proxies(cls, value: object) -> object:
        return parse_networks(text for text in value.split(",") if text.strip()) if isinstance(value, str) else value

    @field_validator("gateway_proxy_headers", mode="before")
    @classmethod
    def _headers(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(text.strip().lower() for text in value.split(",") if text.strip())

    @model_validator(mode="after")
    def _check_gateway(self) -> Self:
        if self.gateway_tls_certificate_file is None and (self.gateway_tls_key_file or self.gateway_tls_key_password):
            raise ValueError("TRIPTYCH_GATEWAY_TLS_KEY_… is set, but TRIPTYCH_GATEWAY_TLS_CERTIFICATE_FILE is not.")
        if "forwarded" in self.gateway_proxy_headers and len(self.gateway_proxy_headers) > 1:
            raise ValueError("TRIPTYCH_GATEWAY_PROXY_HEADERS: `forwarded` cannot be read together with others.")
        return self
