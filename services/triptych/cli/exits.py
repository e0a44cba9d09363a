"""Names the exit statuses of all commands, with their meanings for docs/command-line.md."""

import os
from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ended. From 64 on, the numbers are those of `sysexits.h`."""

    def __new__(cls, number: int, meaning: str) -> "ExitStatus":
        """`meaning` is for the table of the documentation."""
        made = int.__new__(cls, number)
        made._value_ = number
        made.meaning = meaning
        return made

    meaning: str

    DONE = 0, "The command did its work. A command that runs until Ctrl-C ends with it too."
    NEGATIVE = (
        1,
        "The command did its work, and the result is negative: a command was rejected, something differs or is wrong, "
        "or lines were refused. The output says what.",
    )
    USAGE = 2, "The command was typed wrongly. Nothing was done."
    INTERRUPTED_BY_SERVER = (
        os.EX_TEMPFAIL,
        "A server stopped answering during the work. The same command resumes, or says how to resume.",
    )
    REFUSED = (
        os.EX_CONFIG,
        "The command cannot do its work: no server answers, a setting cannot be used, topics are missing, the data "
        "needs a newer version, or what was named does not exist. The message says what to do.",
    )
    CANCELLED = 130, "Ctrl-C ended the command before its work was done."
