"""Starts the command service: `python -m triptych.command`."""

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # until `run_service`: the imports make no garbage, and the search for it takes a sixth of their time
    from triptych.command.app import compose
    from triptych.command.settings import CommandSettings
    from triptych.kit.startup.lifecycle import run_service

    sys.exit(run_service("command", CommandSettings, compose, lambda settings: settings.command_port))
