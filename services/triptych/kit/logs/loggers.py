"""Makes the loggers of the product: structlog on top of the standard library's logging.

A call names an event in a constant sentence, and everything that varies as a field:
`log.warning("no reply came in time", command_id=command_id)`. docs/operations/logs.md lists the fields.
"""

import logging
from typing import cast

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter, filter_by_level
from structlog.typing import EventDict, WrappedLogger

__all__ = ["BoundLogger", "error_text", "get_logger", "is_unlimited"]

_UNLIMITED: set[str] = set()


def get_logger(name: str, *, is_limited: bool = True) -> BoundLogger:
    """The logger of a module.

    It does not depend on a global configuration of structlog: its lines go to whatever handlers `logging` has, so a
    process or a test that configures nothing loses none.

    Args:
        name: the module's `__name__`, or a name of its own for lines that are switched on by a setting.
        is_limited: False if every line is written, however often it comes.
    """
    if not is_limited:
        _UNLIMITED.add(name)
    logger = structlog.wrap_logger(
        logging.getLogger(name),
        # All other processors belong to the formatter, which the lines of libraries pass too.
        processors=[filter_by_level, _with_error_texts, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=BoundLogger,
        context_class=dict,
    )
    return cast("BoundLogger", logger.bind())


def is_unlimited(name: str) -> bool:
    """Whether every line of this logger is written."""
    return name in _UNLIMITED


def error_text(error: BaseException) -> str:
    """An exception in one line: its class, and its message if it has one."""
    message = str(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _with_error_texts(_logger: WrappedLogger, _name: str, event_dict: EventDict) -> EventDict:
    # A line may be kept to be counted. An exception in it would keep alive all that its frames refer to.
    for name, value in event_dict.items():
        if isinstance(value, BaseException) and name != "exc_info":
            event_dict[name] = error_text(value)
    return event_dict
