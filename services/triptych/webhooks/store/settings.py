"""Settings of every process that handles listeners' secrets."""

from datetime import timedelta

from pydantic import Field, SecretStr

from triptych.kit.process.settings import KitSettings


class ListenerSettings(KitSettings):
    """See `KitSettings`; durations accept seconds or ISO 8601."""

    # Fernet keys (32 bytes, URL-safe base64), separated by commas: the first one encrypts, all of them decrypt.
    secrets_key: SecretStr | None = None
    # A development machine: without `secrets_key`, secrets are encrypted under a key that everybody knows.
    local: bool = False
    # How long events, ended deliveries with their log, and operational events are kept.
    webhooks_retention: timedelta = Field(timedelta(days=30), ge=timedelta(days=1))
