"""Writes and reads the cursors of lists and steps over dead letters.

The cursor of a list is the position of the last record that was read. A step that replays or drops also names the
moment at which the first step began. Later dead letters are not handled: otherwise records that are refused again would
be replayed for ever.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from triptych.contract.base import ViolatedRule, broken
from triptych.deadletters.model.letter import LATEST_MS
from triptych.kit.kafka.positions import Position, parse_position

CURSOR_EXAMPLE = "triptych.commands.dead-letter-3@17"
STEP_EXAMPLE = f"1767225600000~{CURSOR_EXAMPLE}"
_EXPECTED = "the cursor of an earlier answer"


class StepCursor(NamedTuple):
    """Where a step begins, and from which moment on dead letters are left alone."""

    until: datetime
    after: Position


def write_step(until: datetime, after: Position) -> str:
    """The cursor of the next step."""
    return f"{round(until.timestamp() * 1000)}~{after}"


def read_step(cursor: str) -> StepCursor | None:
    """What a cursor of a step says; None if it is not one."""
    moment, _, position = cursor.partition("~")
    after = parse_position(position)
    if after is None or not (moment.isascii() and moment.isdecimal() and len(moment) <= len(str(LATEST_MS))):
        return None
    milliseconds = int(moment)
    if milliseconds > LATEST_MS:
        return None
    return StepCursor(datetime.fromtimestamp(milliseconds / 1000, UTC), after)


def check_step(cursor: str) -> str:
    """The cursor, if it is one of a step. Raises PydanticCustomError."""
    if read_step(cursor) is None:
        raise broken(ViolatedRule.FORMAT, f"must be {_EXPECTED}", data={"expected": _EXPECTED})
    return cursor


def check_cursor(cursor: str) -> str:
    """The cursor, if it is one of a list. Raises PydanticCustomError."""
    if parse_position(cursor) is None:
        raise broken(ViolatedRule.FORMAT, f"must be {_EXPECTED}", data={"expected": _EXPECTED})
    return cursor
