"""Starts the command service: `python -m triptych.command`."""

import sys

from triptych.command.app import compose
from triptych.command.settings import CommandSettings
from triptych.kit.startup.lifecycle import run_service

if __name__ == "__main__":
    sys.exit(run_service("command", CommandSettings, compose, lambda settings: settings.command_port))
