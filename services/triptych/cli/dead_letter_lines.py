"""Writes dead letters as lines for people. Bytes from outside cannot control the terminal."""

from collections.abc import Iterator
from typing import Any

import orjson

from triptych.deadletters.administration import Result
from triptych.deadletters.forms import VALUE_SHOWN, entry_form
from triptych.deadletters.scan import Entry

HEX_SHOWN = 512
_HEX_ROW = 16
_FIELDS = (
    *("id", "state", "date", "reason", "error", "topic", "origin", "offsets", "attempts", "replays", "replayOf"),
    *("problem", "siteId", "galleryId", "messageId", "type", "source", "parts"),
)


def visible(text: str) -> str:
    """The text with everything that is not printable as an escape sequence of Python."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def entry_line(entry: Entry, source: str) -> str:
    """`triptych.commands.dead-letter-3@17  2026-01-01T00:00:00.000Z  open  NOT_JSON  order-7  expected value ...`."""
    form = entry_form(entry, source)
    problem = f"  ({form['problem']})" if form["problem"] and form["problem"] != form["reason"] else ""
    columns = (form["id"], form["date"], f"{form['state']:<8}", f"{form['reason']:<16}", form["messageId"] or "-")
    return visible("  ".join([*columns, form["error"]]) + problem)


def entry_lines(entry: Entry, source: str) -> Iterator[str]:
    """All of a dead letter: a line for each field, action and header, and then the value."""
    form, letter = entry_form(entry, source), entry.letter
    for name in _FIELDS:
        if form[name] not in (None, ""):
            yield f"{name:<10} {visible(str(form[name]))}"
    for action in form["actions"]:
        to = f" to {action['to']}" if action["to"] else ""
        yield visible(f"{'action':<10} {action['date']} {action['state']} by {action['by']}{to}")
    yield f"{'key':<10} {_short(letter.key)}"
    for header, value in letter.headers:
        yield f"{'header':<10} {visible(header)}: {_short(value)}"
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
        return visible(content[:HEX_SHOWN].decode())
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
        yield f"  {visible(line)}"
    if len(value or b"") > VALUE_SHOWN:
        yield "  (more: --raw)"


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
