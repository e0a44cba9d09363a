"""Settings of the command line: those of every part it starts or speaks to."""

from pydantic import Field

from services.command.settings import CommandSettings
from services.gateway.settings import GatewaySettings
from services.projector.settings import ProjectorSettings


class CliSettings(CommandSettings, ProjectorSettings, GatewaySettings):
    """See the settings of the services; these two are for `triptych up` alone."""

    kafka_port: int = Field(9092, ge=1, le=65_535)
    mongo_port: int = Field(27017, ge=1, le=65_535)
