"""Reads values that are typed for several commands: ids of galleries, and moments."""

from datetime import UTC, datetime

import typer

from triptych.contract.base import parse_guid

MOMENT_FORMATS = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
"""How a moment is typed, in UTC."""


def check_gallery_id(typed: str) -> str:
    """The id in canonical form. Raises BadParameter if it is not a GUID."""
    try:
        return parse_guid(typed)
    except ValueError:
        raise typer.BadParameter(f"{typed!r} is not a GUID", param_hint="--gallery") from None


def in_utc(typed: datetime | None) -> datetime | None:
    """A moment as it was typed, in UTC."""
    return None if typed is None else typed.replace(tzinfo=UTC)
