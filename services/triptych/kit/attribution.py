"""Names in log lines who caused them: the site, the source and the id of a command."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic_core import from_json

TEXT_MAX = 255
SCANNED_BYTES = 16 * 1024
"""How much of a structured event is searched for its attributes, from its beginning."""
_NAMES = {"siteid": "site", "source": "source", "id": "command"}


class AttributedRecord(Protocol):
    """The fields of a record that name its sender."""

    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


def about(**fields: object) -> dict[str, Any]:
    """The `extra` of a logging call that attaches these fields to the line; fields that are None are left out.

    A JSON line has each as a field of its own. A text line ends with those that are text.
    """
    return {"about": {name: value for name, value in fields.items() if value is not None}}


def sender_of(record: AttributedRecord) -> dict[str, Any]:
    """The `extra` that names the sender of a CloudEvent, as far as it can be read; empty for any other record."""
    found: dict[str, str] = {}
    nullable: Sequence[tuple[str, bytes | None]] = record.headers  # Kafka has null values
    for name, raw in nullable:
        attribute = name.lower().removeprefix("ce_")
        if attribute in _NAMES and name.lower() != attribute and raw is not None:
            found[_NAMES[attribute]] = raw[: 4 * TEXT_MAX].decode(errors="replace")[:TEXT_MAX]
    if not found and record.value is not None and record.value[:1] == b"{":
        found = _in_body(record.value)
    return about(**found)


def _in_body(value: bytes) -> dict[str, str]:
    try:
        body = from_json(value[:SCANNED_BYTES], allow_partial=True)
    except ValueError:
        return {}
    return {
        shown: text[:TEXT_MAX] for name, shown in _NAMES.items() if isinstance(text := body.get(name), str) and text
    }


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """The fields that `about` attached to the line; none if it attached nothing."""
    fields: Mapping[str, object] = getattr(record, "about", {})
    return fields


class TextFormatter(logging.Formatter):
    """Lines for people. Each ends with who caused it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without its traceback."""
        # Values are written with `repr`, so text from outside cannot start a new line.
        named = " ".join(f"{name}={value!r}" for name, value in fields_of(record).items() if isinstance(value, str))
        line = super().formatMessage(record)
        return f"{line}  [{named}]" if named else line
