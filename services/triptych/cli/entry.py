"""The entry point of the installed command. It says what to install if libraries of the server are missing."""

import importlib.util
import os
import sys

NEEDED = ("typer", "aiokafka", "pymongo", "fastapi")


def main() -> int:
    """Run `triptych`, and return its exit status."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"triptych: {', '.join(missing)} not installed. The command line is part of the server: "
            "pip install 'triptych[server]'",
            file=sys.stderr,
        )
        return os.EX_CONFIG
    from triptych.cli.__main__ import main as run

    run()
    return os.EX_OK
