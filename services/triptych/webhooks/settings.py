"""Settings of the webhook relay."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from triptych.kit.kafka import groups
from triptych.kit.process.settings import ConsumerSettings
from triptych.webhooks.model.addresses import Network, parse_networks
from triptych.webhooks.model.registration import TIMEOUT_MAX_SECONDS
from triptych.webhooks.store.settings import ListenerSettings

LEASE_MARGIN = timedelta(seconds=5)
"""How much longer than the longest timeout a lease must last: time to sign the request and to record the response."""

_NOTHING = timedelta(0)


class WebhookSettings(ListenerSettings, ConsumerSettings):
    """See `KitSettings`. Durations accept seconds or ISO 8601."""

    webhooks_port: int = Field(8083, ge=0, le=65_535)
    """Port of health and metrics; 0 chooses a free one."""
    webhooks_batch_size: int = Field(500, ge=1, le=5_000)
    """The most events whose deliveries are planned together."""
    webhooks_allowed_networks: Annotated[tuple[Network, ...], NoDecode] = ()
    """Networks that are not public and to which deliveries may go, in CIDR notation, separated by commas."""
    webhooks_name_servers: Annotated[tuple[str, ...], NoDecode] = ()
    """Name servers that look up receivers, as address or address:port, separated by commas; the system's if empty."""
    webhooks_lease: timedelta = timedelta(seconds=45)
    """How long a delivery belongs to the process that claimed it, and waits if that process is killed and nothing is
    started in its place."""
    webhooks_concurrency: int = Field(1_000, ge=1, le=10_000)
    """The most requests of one process that are in flight at the same time."""
    webhooks_listener_concurrency: int = Field(32, ge=1, le=1_000)
    """The most requests to one listener that are in flight at the same time."""
    webhooks_minimum_wait: timedelta = Field(timedelta(seconds=60), ge=_NOTHING)
    """The minimum delay before a retry after a timeout or a 429."""
    webhooks_disable_after: timedelta = Field(timedelta(days=5), gt=_NOTHING)
    """A listener that has failed for this time without a success is disabled."""
    webhooks_answer_bytes: int = Field(1_024, ge=0, le=65_536)
    """The most bytes of a response body that are read and kept in the log."""
    webhooks_shards: int = Field(16, ge=1, le=1_024)
    """Number of shards that spread listeners over the relay's processes. All processes must have the same value."""
    webhooks_shard_lease: timedelta = Field(timedelta(seconds=6), ge=timedelta(seconds=1))
    """How long the shards of a dead process stay without an owner, at most."""

    @property
    def webhooks_group(self) -> str:
        """The consumer group of the relay."""
        return groups.webhooks_group(self.topic_prefix)

    @field_validator("webhooks_allowed_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return parse_networks(network for network in value.split(",") if network.strip())

    @field_validator("webhooks_name_servers", mode="before")
    @classmethod
    def _servers(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(server.strip() for server in value.split(",") if server.strip())

    @model_validator(mode="after")
    def _check_lease(self) -> Self:
        needed = timedelta(seconds=TIMEOUT_MAX_SECONDS) + LEASE_MARGIN
        if self.webhooks_lease <= needed:
            raise ValueError(
                f"TRIPTYCH_WEBHOOKS_LEASE must be more than {needed.total_seconds():g} s, the longest timeout of a "
                "listener and a margin: otherwise a delivery would be sent again while its request is in flight"
            )
        return self
