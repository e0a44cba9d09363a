"""Settings of the command line: those of every part it starts or speaks to."""

from pydantic import Field

from triptych.command.settings import CommandSettings
from triptych.gateway.settings import GatewaySettings
from triptych.projector.settings import ProjectorSettings
from triptych.webhooks.settings import WebhookSettings


class CliSettings(CommandSettings, ProjectorSettings, GatewaySettings, WebhookSettings):
    """See the settings of the services; the ports are for `make up` alone."""

    local: bool = True
    """A development machine: the known key of `make up` is tried without `TRIPTYCH_SECRETS_KEY`. One that does not
    fit is refused."""

    kafka_port: int = Field(9092, ge=1, le=65_535)
    """Port of the Kafka that `make up` starts."""
    mongo_port: int = Field(27017, ge=1, le=65_535)
    """Port of the MongoDB that `make up` starts."""
