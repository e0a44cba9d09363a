"""The size limit of commands, and the refusal of a larger command without reading its data."""

from triptych.contract.base import ViolatedRule
from triptych.contract.codec.cloudevents import (
    Headers,
    Reason,
    Undecodable,
    is_structured,
    origin_of,
    read_headers,
    read_prefix,
)
from triptych.contract.codec.envelope import InvalidCommand
from triptych.contract.replies import Violation

COMMAND_BYTES_MAX = 15 * 1024 * 1024
"""Uncompressed bytes of a command's record. A command may be parked in MongoDB, where a document has at most 16 MB."""
HEADER_BYTES = 64
"""Bytes that each header counts in addition to its name and value; storing a header costs less."""


def record_bytes(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """An upper bound on the bytes of a record: its key, value and headers, with names in any alphabet."""
    fields = sum([4 * len(name) + len(raw or b"") + HEADER_BYTES for name, raw in headers])
    return len(key or b"") + len(value or b"") + fields


def too_large(value: bytes | None, headers: Headers) -> InvalidCommand | Undecodable:
    """The error for a record of more than COMMAND_BYTES_MAX; its data is not read."""
    try:
        attributes = read_headers(headers)
        if value and is_structured(attributes):
            attributes = read_prefix(value, attributes)
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
