"""Names in log lines who caused them: the site, the source, the gallery, the ids of the message and its trace."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic_core import from_json

TEXT_MAX = 255
SCANNED_BYTES = 16 * 1024
"""How much of a structured event is searched for its attributes, from its beginning."""
COMMAND_TYPE = "triptych.command."
# The subject of every message of Triptych is a gallery: the one word of its contract that this package knows.
_NAMES = {
    "siteid": "site_id",
    "source": "source",
    "subject": "gallery_id",
    "correlationid": "correlation_id",
    "causationid": "command_id",
    "id": "event_id",
}
_TRACEPARENT = "traceparent"
_TRACE_ID = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-.*")


class PositionedRecord(Protocol):
    """The fields of a record that say where it is on its topic."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


class AttributedRecord(Protocol):
    """The fields of a record that name its sender."""

    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


def position_of(record: PositionedRecord) -> dict[str, object]:
    """The fields of a log line that say where a record is. The topic is a field of the line."""
    return {"partition": record.partition, "offset": record.offset}


def sender_of(record: AttributedRecord) -> dict[str, object]:
    """The fields of a log line that name a CloudEvent and its sender, as far as they can be read.

    Empty for any other record. The id of a command is `command_id`, that of any other message `event_id`.
    """
    found: dict[str, str] = {}
    nullable: Sequence[tuple[str, bytes | None]] = record.headers  # Kafka has null values
    for name, raw in nullable:
        attribute = name.lower().removeprefix("ce_")
        if raw is not None and (attribute == _TRACEPARENT or attribute != name.lower()):
            found[attribute] = raw[: 4 * TEXT_MAX].decode(errors="replace")
    if found.keys() <= {_TRACEPARENT} and record.value is not None and record.value[:1] == b"{":
        found |= _in_body(record.value)
    return named(found)


def named(attributes: Mapping[str, str]) -> dict[str, object]:
    """The fields of a log line for the attributes of a CloudEvent, by their names in lower case."""
    fields: dict[str, object] = {
        field: attributes[name][:TEXT_MAX] for name, field in _NAMES.items() if attributes.get(name)
    }
    if attributes.get("type", "").startswith(COMMAND_TYPE) and "event_id" in fields:
        fields["command_id"] = fields.pop("event_id")
    return {**fields, **trace_of(attributes.get(_TRACEPARENT))}


def trace_of(traceparent: str | None) -> dict[str, str]:
    """The field with the id of the trace that a `traceparent` of W3C Trace Context names; empty if there is none."""
    found = _TRACE_ID.fullmatch(traceparent or "")
    return {"trace_id": found[1]} if found else {}


def _in_body(value: bytes) -> dict[str, str]:
    try:
        body = from_json(value[:SCANNED_BYTES], allow_partial=True)
    except ValueError:
        return {}
    return {name: text for name, text in body.items() if isinstance(text, str)}
