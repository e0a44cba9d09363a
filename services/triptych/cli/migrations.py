"""Gathers the migrations of all services."""

from triptych.command import migrations as command
from triptych.projector import migrations as projector

MIGRATIONS = (*command.MIGRATIONS, *projector.MIGRATIONS)
"""Every migration. One that was released keeps its name and its version."""
