"""Settings of the gateway."""

from datetime import timedelta

from pydantic import Field

from triptych.readmodel.weighing import LARGE_BYTES
from triptych.webhooks.store.settings import ListenerSettings

_NOTHING = timedelta(0)


class GatewaySettings(ListenerSettings):
    """See `KitSettings`; durations accept seconds or ISO 8601."""

    gateway_port: int = Field(8080, ge=0, le=65_535)
    """Port of the API, health and metrics; 0 chooses a free one."""
    gateway_answers_limit: int = Field(64 * 1024 * 1024, ge=LARGE_BYTES)
    """Bytes of items that all answers together hold at a time, half of it for one site. Others wait."""
    gateway_body_limit: int = Field(15 * 1024 * 1024, ge=1)
    """Bytes of a request body, compressed or not; 413 beyond. The default is what a command may have."""
    gateway_publish_timeout: timedelta = Field(timedelta(seconds=5), gt=_NOTHING)
    """How long a write waits for Kafka to take its command."""
    gateway_reply_timeout: timedelta = Field(timedelta(seconds=10), gt=_NOTHING)
    """How long a write waits for the reply to its command; 504 beyond."""
    gateway_view_timeout: timedelta = Field(timedelta(seconds=5), gt=_NOTHING)
    """How long a write waits for the read model to show it, before it is answered from its own events."""
    gateway_key_cache: timedelta = Field(timedelta(seconds=5), ge=_NOTHING)
    """How long a revoked key may still be accepted."""
    gateway_requests_per_minute: int | None = Field(None, ge=1)
    """Requests a minute that each key may make at each gateway, and as many at once; 429 beyond. Unlimited if unset."""
    gateway_cors_origins: str = ""
    """Origins whose pages may use the API in browsers, separated by commas, or `*` for all; none if empty."""
    gateway_streams: int = Field(1_000, ge=0)
    """Live streams that are open at a time."""
    gateway_stream_lifetime: timedelta = Field(timedelta(minutes=15), gt=_NOTHING)
    """How long one live stream lasts before its client has to resume it."""
    gateway_stream_heartbeat: timedelta = Field(timedelta(seconds=15), gt=_NOTHING)
    """How often a stream without events says that it is alive."""
    gateway_stream_resume: int = Field(100_000, ge=0)
    """Records that a resumed stream may have to look through; 410 beyond."""
