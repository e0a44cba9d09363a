"""Settings of the command line, which are those of all services, and the settings of each process."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from triptych.command.settings import CommandSettings
from triptych.gateway.settings import GatewaySettings
from triptych.kit.process.settings import KitSettings
from triptych.projector.settings import ProjectorSettings
from triptych.webhooks.settings import WebhookSettings


class CliSettings(CommandSettings, ProjectorSettings, GatewaySettings, WebhookSettings):
    """See the settings of the services. Only `make up` uses the ports."""

    local: bool = True
    """A development machine: without `TRIPTYCH_SECRETS_KEY`, the known key of `make up` is tried. It is refused if
    the secrets are encrypted under another key."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    """Lines of the log below this level are not written. The log goes to stderr, the output of a command to stdout."""

    kafka_port: int = Field(9092, ge=1, le=65_535)
    """Port of the Kafka that `make up` starts."""
    mongo_port: int = Field(27017, ge=1, le=65_535)
    """Port of the MongoDB that `make up` starts."""

    schema_registry_user: str = ""
    """The user of a schema registry, for `.venv/bin/triptych schemas register`."""
    schema_registry_password: SecretStr | None = None
    """The password of the user of a schema registry. It is sent over TLS only, or to this machine."""
    schema_registry_token: SecretStr | None = None
    """A bearer token for a schema registry, instead of user and password. It is sent over TLS only, or to this
    machine."""
    schema_registry_ca_file: Path | None = None
    """Certificates of the authorities that a schema registry is verified by, in PEM; those of the system if unset."""
    schema_registry_certificate_file: Path | None = None
    """The certificate that the command line shows to a schema registry, in PEM."""
    schema_registry_key_file: Path | None = None
    """The key of that certificate, unless it is in the same file."""


class Process(StrEnum):
    """A process that reads settings."""

    COMMAND = "command"
    PROJECTOR = "projector"
    WEBHOOKS = "webhooks"
    GATEWAY = "gateway"
    CLI = "cli"


SETTINGS_OF: Mapping[Process, type[KitSettings]] = {
    Process.COMMAND: CommandSettings,
    Process.PROJECTOR: ProjectorSettings,
    Process.WEBHOOKS: WebhookSettings,
    Process.GATEWAY: GatewaySettings,
    Process.CLI: CliSettings,
}
"""The settings that each process reads."""
