"""Settings of the command service."""

from datetime import timedelta

from pydantic import Field

from triptych.command.flow.step_retries import RETRY_PERIOD
from triptych.kit.kafka import groups
from triptych.kit.process.settings import ConsumerSettings, IdempotencySettings


class CommandSettings(IdempotencySettings, ConsumerSettings):
    """Settings of the command service and those of `KitSettings`; durations are seconds or ISO 8601."""

    command_port: int = Field(8081, ge=0, le=65_535)
    """Port of health and metrics; 0 chooses a free one."""
    command_batch_size: int = Field(4_000, ge=1, le=5_000)
    """The largest number of commands in a batch. Lanes of whole partitions run concurrently within a large batch."""
    outbox_retention: timedelta = Field(timedelta(days=1), gt=timedelta(0))
    """How long published rows of the outbox are kept for inspection."""
    command_job_patience: timedelta = Field(RETRY_PERIOD, gt=timedelta(0))
    """How long a step of a job may keep failing before the service gives the job up and frees its gallery."""

    @property
    def command_group(self) -> str:
        """The consumer group of the command service."""
        return groups.command_group(self.topic_prefix)
