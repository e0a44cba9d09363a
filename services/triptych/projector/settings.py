"""Settings of the projector."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from triptych.kit.kafka import groups
from triptych.kit.process.settings import ConsumerSettings


class LossPolicy(StrEnum):
    """What the projector does about events that expired before they were projected."""

    REPAIR = "repair"
    REBUILD = "rebuild"


class ProjectorSettings(ConsumerSettings):
    """See `KitSettings`.

    The batch size is an upper bound: a single event is projected at once, and batches grow with the backlog.
    """

    projector_port: int = Field(8082, ge=0, le=65_535)
    """Port of health and metrics; 0 chooses a free one."""
    projector_batch_size: int = Field(10_000, ge=1, le=10_000)
    """Events that are projected at a time, at most. A single event is projected at once."""
    projector_lost_events: LossPolicy = LossPolicy.REPAIR
    """When events expired unread: `repair` asks for the galleries concerned, `rebuild` waits for a rebuild."""
    history_retention: timedelta = Field(timedelta(0), ge=timedelta(0))
    """How long states of galleries are kept after they were changed or deleted, for the history, `as-of` and restores;
    0 writes no history."""
    history_batch_size: int = Field(5_000, ge=1, le=10_000)
    """The most events that are archived together."""

    def projector_group(self, version: int) -> str:
        """The consumer group of a version of the views. Each version reads the topic in a group of its own."""
        return groups.projector_group(self.topic_prefix, version)

    @property
    def history_group(self) -> str:
        """The consumer group of the history."""
        return groups.history_group(self.topic_prefix)
