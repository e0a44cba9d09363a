"""Cursors into the stored events of a site: behind one event, in the order in which events are replayed."""

from datetime import datetime, timedelta

from triptych.contract.base import parse_guid

EXAMPLE = "2026-01-01T00:00:00+00:00|0198c0de-0000-7000-8000-000000000000"
"""What a cursor looks like."""


class InvalidCursor(ValueError):
    """A text that no answer of ours held as its cursor."""


def write_cursor(at: datetime, event_id: str) -> str:
    """The cursor behind the event of this id that happened at this moment, in UTC."""
    return f"{at.isoformat()}|{event_id}"


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """The moment, in UTC, and the id that a cursor was made of. Raises InvalidCursor."""
    moment, _, event_id = cursor.partition("|")
    try:
        at = datetime.fromisoformat(moment)
        # Other offsets and spellings are not ours, and some of them name moments before the first or after the last.
        is_ours = (
            at.utcoffset() == timedelta(0) and parse_guid(event_id) == event_id and write_cursor(at, event_id) == cursor
        )
    except ValueError:
        is_ours = False
    if not is_ours:
        raise InvalidCursor("the cursor is not one of this server's")
    return at, event_id
