"""Settings of the gateway."""

from datetime import timedelta

from pydantic import Field

from triptych.kit.process.settings import IdempotencySettings
from triptych.readmodel.weighing import LARGE_BYTES
from triptych.webhooks.store.settings import ListenerSettings

_NOTHING = timedelta(0)


class GatewaySettings(ListenerSettings, IdempotencySettings):
    """Settings of the gateway process, read as `KitSettings` describes; durations are seconds or ISO 8601."""

    gateway_port: int = Field(8080, ge=0, le=65_535)
    """Port of the API, health and metrics; 0 chooses a free one."""
    gateway_answers_limit: int = Field(64 * 1024 * 1024, ge=LARGE_BYTES)
    """Bytes of items that all responses together hold in memory, half of them for one site. Further responses wait."""
    gateway_body_limit: int = Field(15 * 1024 * 1024, ge=1)
    """Largest request body in bytes, compressed or not; 413 beyond. The default is the largest size of a command."""
    gateway_publish_timeout: timedelta = Field(timedelta(seconds=5), gt=_NOTHING)
    """How long a write waits until Kafka has acknowledged its command; 503 beyond."""
    gateway_reply_timeout: timedelta = Field(timedelta(seconds=10), gt=_NOTHING)
    """How long a write waits for the reply to its command; 504 beyond."""
    gateway_view_timeout: timedelta = Field(timedelta(seconds=5), gt=_NOTHING)
    """How long a write waits until the read model shows it; beyond, its own events are the source of the response."""
    gateway_key_cache: timedelta = Field(timedelta(seconds=5), ge=_NOTHING)
    """How long a revoked key may still be accepted."""
    gateway_requests_per_minute: int | None = Field(None, ge=1)
    """Requests a minute for each key at each gateway, with a burst of the same size; 429 beyond. Unlimited if unset."""
    gateway_cors_origins: str = ""
    """Origins whose pages may use the API in browsers, separated by commas, or `*` for all; none if empty."""
    gateway_streams: int = Field(1_000, ge=0)
    """Largest number of live streams that are open at the same time; 429 beyond."""
    gateway_stream_lifetime: timedelta = Field(timedelta(minutes=15), gt=_NOTHING)
    """How long one live stream lasts before its client has to resume it."""
    gateway_stream_heartbeat: timedelta = Field(timedelta(seconds=15), gt=_NOTHING)
    """How often a stream without events sends a heartbeat."""
    gateway_stream_resume: int = Field(100_000, ge=0)
    """Largest number of records that the gateway reads to resume a stream; 410 beyond."""
