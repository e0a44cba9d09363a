"""Makes log lines of records: JSON for collectors, text for people. Lines of libraries have the same form."""

import json
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import ExceptionRenderer, format_exc_info
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, WrappedLogger

from triptych.kit.logs.masking import Masker
from triptych.kit.logs.values import TRACEBACK_MAX, plain_fields, text_of

LogFormat = Literal["json", "text"]

FRAMES_MAX = 30
"""Frames of a traceback in a JSON line: the outermost and the innermost ones."""
OCCURRENCES, WITHIN_SECONDS = "occurrences", "within_seconds"
"""Attributes of a record that stands for several, and the names of their fields."""
EXCEPTION = "exception"


def line_formatter(
    log_format: LogFormat, masker: Masker, origin: EventDict | None = None, *, has_colors: bool = False
) -> ProcessorFormatter:
    """The formatter of all lines of a process.

    Args:
        log_format: `json` is one object a line, whatever its content. `text` is one line, and lines for a traceback.
        masker: removes secrets.
        origin: fields that tell the lines of different processes apart, for `json`.
        has_colors: whether the reader of `text` is a terminal that shows colours.
    """

    def without_secrets(_logger: WrappedLogger, _name: str, event_dict: EventDict) -> EventDict:
        return plain_fields(event_dict, masker)

    if log_format == "json":
        # Local variables are never shown: they may be secrets.
        frames = ExceptionDictTransformer(show_locals=False, max_frames=FRAMES_MAX)
        return ProcessorFormatter(
            processors=[_stamp, ExceptionRenderer(frames), without_secrets, _with(origin or {}), _render_json],
        )
    console = ConsoleRenderer(
        colors=has_colors, sort_keys=False, repr_native_str=True, exception_formatter=plain_traceback
    )

    def without_secrets_as_text(logger: WrappedLogger, name: str, event_dict: EventDict) -> EventDict:
        traceback = event_dict.pop(EXCEPTION, None)
        cleaned = {one_line(key): value for key, value in without_secrets(logger, name, event_dict).items()}
        # The console shows all values as Python writes them, except for these.
        for key in ("event", "logger"):
            cleaned[key] = one_line(str(cleaned[key]))
        if traceback is not None:
            cleaned[EXCEPTION] = _indented(masker.mask(traceback[-4 * TRACEBACK_MAX :])[-TRACEBACK_MAX:])
        return cleaned

    return ProcessorFormatter(processors=[_stamp, format_exc_info, without_secrets_as_text, console])


def one_line(text: str) -> str:
    """The text with an escape for every character that a terminal or a reader of lines may act on."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _indented(traceback: str) -> str:
    # A message in it may have lines of its own. None of them can look like a line of the log.
    return "\n".join(f"    {one_line(line)}" for line in traceback.splitlines())


def _stamp(_logger: WrappedLogger, _name: str, event_dict: EventDict) -> EventDict:
    """Put first what every line has: time, level, logger and event."""
    record = event_dict.pop("_record")
    event_dict.pop("_from_structlog", None)
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    stamped: MutableMapping[str, Any] = {
        "timestamp": at.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event_dict.pop("event", ""),
    }
    stamped.update(event_dict)
    for name in (OCCURRENCES, WITHIN_SECONDS):
        if (value := getattr(record, name, None)) is not None:
            stamped[name] = value
    return stamped


def _with(fields: EventDict) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    def add(_logger: WrappedLogger, _name: str, event_dict: EventDict) -> EventDict:
        event_dict.update(fields)
        return event_dict

    return add


def _render_json(_logger: WrappedLogger, _name: str, event_dict: EventDict) -> str:
    line = orjson.dumps(event_dict).decode()
    # JSON allows characters that some readers take for the end of a line, and that terminals act on.
    return line if line.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


__all__ = ["LogFormat", "line_formatter", "one_line", "text_of"]
