"""Starts the projector: `python -m services.projector`."""

import sys

from services.kit.lifecycle import run_service
from services.projector.app import compose
from services.projector.settings import ProjectorSettings

if __name__ == "__main__":
    sys.exit(run_service("projector", ProjectorSettings, compose, lambda settings: settings.projector_port))
