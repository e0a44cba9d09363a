"""Writes the log: loggers, lines, secrets, repetitions, and one line for each batch (docs/operations/logs.md)."""
