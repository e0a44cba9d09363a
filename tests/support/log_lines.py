"""Reads what the product has logged: records of `caplog`, and the lines that a process has written."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

Fields = dict[str, Any]


def logged(records: Iterable[logging.LogRecord], event: str | None = None) -> list[Fields]:
    """The product's lines among these records: the event, its fields, the level and the logger."""
    found = [
        {**record.msg, "level": record.levelname, "logger": record.name}
        for record in records
        if isinstance(record.msg, dict)
    ]
    return [fields for fields in found if event is None or fields["event"] == event]


def lines_in(file: Path) -> list[Fields]:
    """The lines that a process has written to a file. Each has to be a JSON object with a time and an event.

    Raises:
        AssertionError: a line is something else.
    """
    return [read_line(line) for line in file.read_bytes().decode().split("\n")[:-1]]


def read_line(line: str) -> Fields:
    """The fields of one line. Raises AssertionError unless it is a line of the log."""
    try:
        fields = orjson.loads(line)
    except ValueError:
        raise AssertionError(f"not a line of the log: {line!r}") from None
    assert isinstance(fields, dict), line
    assert {"timestamp", "level", "logger", "event", "service", "instance"} <= fields.keys(), line
    assert fields["timestamp"].endswith("Z"), line
    assert line.isprintable(), repr(line)
    return fields
