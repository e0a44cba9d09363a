"""Starts the command service: `python -m services.command`."""

import sys

from services.command.app import compose
from services.command.settings import CommandSettings
from services.kit.lifecycle import run_service

if __name__ == "__main__":
    sys.exit(run_service("command", CommandSettings, compose, lambda settings: settings.command_port))
