"""Settings of the gateway."""

from datetime import timedelta

from pydantic import Field

from services.kit.settings import KitSettings

_NOTHING = timedelta(0)


class GatewaySettings(KitSettings):
    """See `KitSettings`; durations accept seconds or ISO 8601."""

    gateway_port: int = Field(8080, ge=0, le=65_535)
    gateway_body_limit: int = Field(16 * 1024 * 1024, ge=1)
    # How long a write waits for Kafka to take the command, for the reply, and for the read model to show the change.
    gateway_publish_timeout: timedelta = Field(timedelta(seconds=5), gt=_NOTHING)
    gateway_reply_timeout: timedelta = Field(timedelta(seconds=10), gt=_NOTHING)
    gateway_view_timeout: timedelta = Field(timedelta(seconds=5), gt=_NOTHING)
    # How long a revoked key may still be accepted.
    gateway_key_cache: timedelta = Field(timedelta(seconds=5), ge=_NOTHING)
