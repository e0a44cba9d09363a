"""Settings of the gateway."""

from datetime import timedelta

from pydantic import Field

from triptych.readmodel.weighing import LARGE_BYTES
from triptych.webhooks.store.settings import ListenerSettings

_NOTHING = timedelta(0)


class GatewaySettings(ListenerSettings):
    """See `KitSettings`; durations accept seconds or ISO 8601."""

    gateway_port: int = Field(8080, ge=0, le=65_535)
    # Bytes of items that all answers together hold at a time; the answers beyond wait.
    gateway_answers_limit: int = Field(64 * 1024 * 1024, ge=LARGE_BYTES)
    # As much as a command may have.
    gateway_body_limit: int = Field(15 * 1024 * 1024, ge=1)
    # How long a write waits for Kafka to take the command, for the reply, and for the read model to show the change.
    gateway_publish_timeout: timedelta = Field(timedelta(seconds=5), gt=_NOTHING)
    gateway_reply_timeout: timedelta = Field(timedelta(seconds=10), gt=_NOTHING)
    gateway_view_timeout: timedelta = Field(timedelta(seconds=5), gt=_NOTHING)
    # How long a revoked key may still be accepted.
    gateway_key_cache: timedelta = Field(timedelta(seconds=5), ge=_NOTHING)
    # Requests a minute that each key may make, and as many at once; without a number, as many as it likes.
    gateway_requests_per_minute: int | None = Field(None, ge=1)
    # Origins whose pages may use the API in browsers, with commas between them, `*` for all; none unless told.
    gateway_cors_origins: str = ""
    # Live streams: how many at a time, how long each before the client has to come again, how often a quiet one says
    # that it is alive, and how many records a resumed one may have to look through.
    gateway_streams: int = Field(1_000, ge=0)
    gateway_stream_lifetime: timedelta = Field(timedelta(minutes=15), gt=_NOTHING)
    gateway_stream_heartbeat: timedelta = Field(timedelta(seconds=15), gt=_NOTHING)
    gateway_stream_resume: int = Field(100_000, ge=0)
