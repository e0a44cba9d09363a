"""Writes and reads the cursors of a replay: each names the last event that was replayed."""

from datetime import datetime, timedelta

from triptych.contract.base import parse_guid

EXAMPLE = "2026-01-01T00:00:00+00:00|0198c0de-0000-7000-8000-000000000000"
"""An example of a cursor."""


class InvalidCursor(ValueError):
    """A text that is not a cursor of a replay."""


def write_cursor(at: datetime, event_id: str) -> str:
    """The cursor after the event with this id, which happened at this moment, in UTC."""
    return f"{at.isoformat()}|{event_id}"


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """The moment, in UTC, and the event id of a cursor. Raises InvalidCursor."""
    moment, _, event_id = cursor.partition("|")
    try:
        at = datetime.fromisoformat(moment)
        # `write_cursor` makes no other offset or spelling, and some of them are outside the range of `datetime`.
        is_valid = (
            at.utcoffset() == timedelta(0) and parse_guid(event_id) == event_id and write_cursor(at, event_id) == cursor
        )
    except ValueError:
        is_valid = False
    if not is_valid:
        raise InvalidCursor("the cursor is not one of this server's")
    return at, event_id
