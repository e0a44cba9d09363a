"""Settings shared by every process that handles the secrets of listeners."""

from datetime import timedelta

from pydantic import Field, SecretStr

from triptych.kit.process.settings import KitSettings


class ListenerSettings(KitSettings):
    """See `KitSettings`. Durations accept seconds or ISO 8601."""

    secrets_key: SecretStr | None = None
    """Fernet keys (32 bytes, URL-safe base64), separated by commas: the first encrypts, all decrypt."""
    local: bool = False
    """A development machine: without `TRIPTYCH_SECRETS_KEY`, secrets are encrypted under a publicly known key."""
    webhooks_retention: timedelta = Field(timedelta(days=30), ge=timedelta(days=1))
    """How long events for listeners, ended deliveries with their log, and operational events are kept."""
