"""Sets up the log of a process: where lines go, in which form, from which level on, and without which secrets."""

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TextIO

from triptych.kit.logs.lines import LogFormat, line_formatter
from triptych.kit.logs.loggers import get_logger
from triptych.kit.logs.masking import Masker
from triptych.kit.logs.repeats import DeduplicatingHandler

log = get_logger(__name__)

# Libraries that log each retry, rebalance and request at level INFO.
QUIET = ("aiokafka", "faststream", "pymongo", "httpx", "httpcore", "uvicorn", "asyncio")

_chosen: LogFormat = "text"


def configure_logging(
    service: str,
    level: str = "INFO",
    log_format: LogFormat | None = None,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Send all lines of this process to stderr. A second call replaces the first.

    Args:
        service: the name of the process, in every JSON line.
        level: lines below it are not written.
        log_format: None chooses `text` if stderr is a terminal, otherwise `json`.
        secrets: values that must not appear in any line.
        stream: instead of stderr.
    """
    global _chosen
    stream = stream or sys.stderr
    is_terminal = stream.isatty()
    _chosen = log_format or ("text" if is_terminal else "json")
    origin = {"service": service, "instance": f"{socket.gethostname()}-{os.getpid()}"}
    handler = DeduplicatingHandler(stream)
    handler.setFormatter(line_formatter(_chosen, Masker(secrets), origin, has_colors=is_terminal))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def log_refusal(service: str, reason: str) -> None:
    """Say why a service does not start. The reason has several lines, which people can read better as they are."""
    if _chosen == "text":
        print(f"{service}: {reason}", file=sys.stderr)
    else:
        log.critical("the service refuses to start", error=reason)


def log_uncaught_errors() -> None:
    """Log exceptions that nobody catches, instead of printing tracebacks of many lines."""

    def log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            log.critical("an unexpected error ends the process", exc_info=(kind, error, traceback))

    def log_uncaught_of_thread(uncaught: threading.ExceptHookArgs) -> None:
        if uncaught.exc_value is not None and not issubclass(uncaught.exc_type, SystemExit):
            log.critical("an unexpected error ends a thread", exc_info=uncaught.exc_value)

    def log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
        log.error("an error was ignored, because nobody could catch it", exc_info=unraisable.exc_value)

    sys.excepthook = log_uncaught
    threading.excepthook = log_uncaught_of_thread
    sys.unraisablehook = log_unraisable


def write_last_line(event: str) -> None:
    """Write a line without any lock, for a process that is ended by force: a thread that stands still may hold it."""
    record = logging.LogRecord(__name__, logging.CRITICAL, "", 0, event, (), None)
    formatters = [handler.formatter for handler in logging.getLogger().handlers if handler.formatter is not None]
    line = formatters[0].format(record) if formatters else event
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode(errors="backslashreplace"))
