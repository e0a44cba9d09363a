"""Settings of the command line: those of every part it starts or speaks to."""

from pydantic import Field

from triptych.command.settings import CommandSettings
from triptych.gateway.settings import GatewaySettings
from triptych.projector.settings import ProjectorSettings
from triptych.webhooks.settings import WebhookSettings


class CliSettings(CommandSettings, ProjectorSettings, GatewaySettings, WebhookSettings):
    """See the settings of the services; the ports are for `triptych up` alone."""

    # A key that does not fit an installation is refused, so guessing the one of `triptych up` does no harm.
    local: bool = True

    kafka_port: int = Field(9092, ge=1, le=65_535)
    mongo_port: int = Field(27017, ge=1, le=65_535)
