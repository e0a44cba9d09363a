"""Tells in log lines who caused what they are about: the site, the source and the id of a command."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic_core import from_json

TEXT_MAX = 255
BEGINNING_BYTES = 16 * 1024
"""Of a structured event, where its attributes are looked for."""
_NAMES = {"siteid": "site", "source": "source", "id": "command"}


class AttributedRecord(Protocol):
    """What has to be known of a record to tell its sender."""

    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


def about(**fields: object) -> dict[str, Any]:
    """What to give to a logging call as `extra`; fields that are None are left out.

    They are fields of their own in JSON. Lines of text end with those that are text.
    """
    return {"about": {name: value for name, value in fields.items() if value is not None}}


def sender_of(record: AttributedRecord) -> dict[str, Any]:
    """The same for a record that is a CloudEvent, as far as it can be read; of any other there is nothing to tell."""
    found: dict[str, str] = {}
    nullable: Sequence[tuple[str, bytes | None]] = record.headers  # Kafka knows null values
    for name, raw in nullable:
        attribute = name.lower().removeprefix("ce_")
        if attribute in _NAMES and name.lower() != attribute and raw is not None:
            found[_NAMES[attribute]] = raw[: 4 * TEXT_MAX].decode(errors="replace")[:TEXT_MAX]
    if not found and record.value is not None and record.value[:1] == b"{":
        found = _in_body(record.value)
    return about(**found)


def _in_body(value: bytes) -> dict[str, str]:
    try:
        body = from_json(value[:BEGINNING_BYTES], allow_partial=True)
    except ValueError:
        return {}
    return {
        shown: text[:TEXT_MAX] for name, shown in _NAMES.items() if isinstance(text := body.get(name), str) and text
    }


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """What `about` gave to the call."""
    fields: Mapping[str, object] = getattr(record, "about", {})
    return fields


class TextFormatter(logging.Formatter):
    """Lines for people, with who caused them at the end."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without a trace."""
        # As Python writes text: what came from outside cannot begin a line of its own.
        named = " ".join(f"{name}={value!r}" for name, value in fields_of(record).items() if isinstance(value, str))
        line = super().formatMessage(record)
        return f"{line}  [{named}]" if named else line
