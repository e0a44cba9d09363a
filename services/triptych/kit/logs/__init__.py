"""Writes the log: loggers, lines, secrets, repetitions, and one line for each batch (docs/operations/logs.md)."""

import sys

if sys.modules.keys().isdisjoint(("structlog", "rich")):
    # structlog imports rich wherever that is installed, for tracebacks that we do not use. It is an eighth of the
    # processor time of a start (0.08 s, measured). The import system takes None for a module that is not installed.
    sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog as structlog

    del sys.modules["rich"]
