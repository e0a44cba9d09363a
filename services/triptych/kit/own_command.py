"""Writes the project's own command as the reader of a message can type it."""

import shutil
import sys
from pathlib import Path


def as_typed(words: str) -> str:
    """`.venv/bin/triptych keys list` for `keys list`: the command that belongs to the Python that runs this process.

    The path is left out if `PATH` leads to that command, or if there is no such command.
    """
    command = Path(sys.executable).with_name("triptych")
    found = shutil.which("triptych")
    if not command.exists() or (found is not None and Path(found).samefile(command)):
        return f"triptych {words}"
    here = Path.cwd()
    return f"{command.relative_to(here) if command.is_relative_to(here) else command} {words}"
