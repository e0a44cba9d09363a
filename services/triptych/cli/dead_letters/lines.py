"""Writes dead letters as lines for people. Bytes from outside cannot control the terminal."""

from collections.abc import Iterator
from typing import Any

import orjson

from triptych.deadletters.administration import Result
from triptych.deadletters.forms import VALUE_SHOWN, entry_form
from triptych.deadletters.scan import Entry
from triptych.kit.logs.lines import one_line

HEX_SHOWN = 512
_HEX_ROW = 16
_FIELDS = (
    *("id", "state", "date", "reason", "error", "topic", "origin", "offsets", "attempts", "replays", "replayOf"),
    *("problem", "siteId", "galleryId", "messageId", "type", "source", "parts"),
)


def entry_line(entry: Entry, topic: str) -> str:
    """`triptych.commands.dead-letter-3@17  2026-01-01T00:00:00.000Z  open  NOT_JSON  order-7  expected value ...`."""
    form = entry_form(entry, topic)
    problem = f"  ({form['problem']})" if form["problem"] and form["problem"] != form["reason"] else ""
    columns = (form["id"], form["date"], f"{form['state']:<8}", f"{form['reason']:<16}", form["messageId"] or "-")
    return one_line("  ".join([*columns, form["error"]]) + problem)


def entry_lines(entry: Entry, topic: str) -> Iterator[str]:
    """All of a dead letter: a line for each field, action and header, and then the value."""
    form, letter = entry_form(entry, topic), entry.letter
    for name in _FIELDS:
        if form[name] not in (None, ""):
            yield f"{name:<10} {one_line(str(form[name]))}"
    for action in form["actions"]:
        to = f" to {action['to']}" if action["to"] else ""
        yield one_line(f"{'action':<10} {action['date']} {action['state']} by {action['by']}{to}")
    yield f"{'key':<10} {_short(letter.key)}"
    for header, value in letter.headers:
        yield f"{'header':<10} {one_line(header)}: {_short(value)}"
    yield f"{'value':<10} {_size(letter.value)}"
    yield from _value_lines(letter.value)


def result_line(result: Result, verb: str) -> str:
    """`triptych.commands.dead-letter-3@17  replayed  triptych.commands-3`, or `refused` with the reason."""
    if result.refusal is not None:
        return f"{result.position}  refused  {result.refusal.value}"
    return f"{result.position}  {verb}" + (f"  {result.to}" if result.to else "")


def _short(content: bytes | None) -> str:
    if content is None:
        return "null"
    try:
        return one_line(content[:HEX_SHOWN].decode())
    except UnicodeDecodeError:
        return f"hex {content[:HEX_SHOWN].hex()}"


def _size(value: bytes | None) -> str:
    return "null" if value is None else f"{len(value):,} bytes"


def _value_lines(value: bytes | None) -> Iterator[str]:
    """JSON indented, other text as it is, anything else in hexadecimal; only the beginning of what is long."""
    shown = (value or b"")[:VALUE_SHOWN]
    try:
        parsed: Any = orjson.loads(value or b"")
        shown = orjson.dumps(parsed, option=orjson.OPT_INDENT_2)[:VALUE_SHOWN]
    except ValueError:
        pass
    try:
        text = shown.decode(errors="ignore" if shown and _is_text(value or b"") else "strict")
    except UnicodeDecodeError:
        for start in range(0, min(len(shown), HEX_SHOWN), _HEX_ROW):
            yield f"  {start:04x}  {shown[start : start + _HEX_ROW].hex(' ')}"
        if len(shown) > HEX_SHOWN:
            yield "  (more: --raw)"
        return
    for line in text.splitlines():
        yield f"  {one_line(line)}"
    if len(value or b"") > VALUE_SHOWN:
        yield "  (more: --raw)"


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
