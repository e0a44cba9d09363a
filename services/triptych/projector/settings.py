"""Settings of the projector."""

from enum import StrEnum

from pydantic import Field

from triptych.kit.process.settings import KitSettings


class LossPolicy(StrEnum):
    """What to do about lost events."""

    REPAIR = "repair"
    REBUILD = "rebuild"


class ProjectorSettings(KitSettings):
    """See `KitSettings`.

    The batch size is a bound: a lone event is projected at once, and batches grow with what is waiting.
    """

    projector_port: int = Field(8082, ge=0, le=65_535)
    projector_batch_size: int = Field(10_000, ge=1, le=10_000)
    projector_lost_events: LossPolicy = LossPolicy.REPAIR
