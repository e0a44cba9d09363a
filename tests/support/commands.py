"""Commands as other programs write them: plain JSON, without product code."""

import json
import uuid
from typing import Any

from tests.support.kafka import Record

SOURCE = "tests"
"""The source of commands that do not name another one."""

TEXT: dict[str, Any] = {"text": {"html": "<p>hello</p>"}}


def structured(name: str, data: dict[str, Any], **attributes: str) -> bytes:
    """A structured CloudEvent: the whole command is one JSON object."""
    event = {
        "specversion": "1.0",
        "type": f"triptych.command.v1.{name}",
        "source": SOURCE,
        "id": str(uuid.uuid4()),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps({**event, **attributes}).encode()


def body(record: Record) -> dict[str, Any]:
    """The JSON value of a record."""
    decoded: dict[str, Any] = json.loads(record.value)
    return decoded


def header(record: Record, name: str) -> str | None:
    """The text of a header, or None."""
    return next((value.decode() for key, value in record.headers if key == name), None)
