"""Settings of the projector."""

from pydantic import Field

from services.kit.settings import KitSettings


class ProjectorSettings(KitSettings):
    """See `KitSettings`."""

    projector_port: int = Field(8082, ge=0, le=65_535)
    projector_batch_size: int = Field(500, ge=1, le=5_000)
