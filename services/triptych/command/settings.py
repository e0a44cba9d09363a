"""Settings of the command service."""

from datetime import timedelta

from pydantic import Field

from triptych.command.domain.step_retries import PATIENCE
from triptych.kit.process.settings import KitSettings


class CommandSettings(KitSettings):
    """See `KitSettings`; durations accept seconds or ISO 8601."""

    command_port: int = Field(8081, ge=0, le=65_535)
    # Large enough to be worked on in several shares at a time, see `slices`.
    command_batch_size: int = Field(4_000, ge=1, le=5_000)
    # How long a repeated command id is recognised, and published outbox rows are kept for inspection.
    processed_retention: timedelta = Field(timedelta(days=7), gt=timedelta(0))
    outbox_retention: timedelta = Field(timedelta(days=1), gt=timedelta(0))
    # How long a step of long work may fail again and again before the work is given up and its gallery is free.
    command_job_patience: timedelta = Field(PATIENCE, gt=timedelta(0))
