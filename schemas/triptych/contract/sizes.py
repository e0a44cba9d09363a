"""How large a command may be, and how one that is larger is refused without reading its data."""

from triptych.contract.base import ViolatedRule
from triptych.contract.codec.cloudevents import (
    Headers,
    Reason,
    Undecodable,
    is_structured,
    origin_of,
    read_beginning,
    read_headers,
)
from triptych.contract.codec.envelope import InvalidCommand
from triptych.contract.replies import Violation

COMMAND_BYTES_MAX = 15 * 1024 * 1024
"""Bytes of a command's record, not compressed: it may have to wait in MongoDB, whose documents have 16 MB at most."""
HEADER_BYTES = 64
"""What each header counts besides its name and value: as much as it costs to store, and more."""


def record_bytes(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """How large a record is, at most: its key, value and headers, whatever alphabet their names are in."""
    fields = sum([4 * len(name) + len(raw or b"") + HEADER_BYTES for name, raw in headers])
    return len(key or b"") + len(value or b"") + fields


def too_large(value: bytes | None, headers: Headers) -> InvalidCommand | Undecodable:
    """The error for a record of more than COMMAND_BYTES_MAX, whose data is not read any more."""
    try:
        attributes = read_headers(headers)
        if value and is_structured(attributes):
            attributes = read_beginning(value, attributes)
    except Undecodable as undecodable:
        return undecodable
    origin = origin_of(attributes)
    description = f"must be at most {COMMAND_BYTES_MAX} bytes, with key and headers"
    if origin.command_id is None:
        return Undecodable(Reason.TOO_LARGE, f"a command {description}", origin)
    violation = Violation(
        field="",
        description=description,
        violated_rule=ViolatedRule.MAX_SIZE,
        data={"threshold": COMMAND_BYTES_MAX},
    )
    return InvalidCommand(origin, None, [violation])
