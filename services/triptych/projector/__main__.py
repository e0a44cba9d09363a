"""Starts the projector: `python -m triptych.projector`."""

import sys

from triptych.kit.startup.lifecycle import run_service
from triptych.projector.app import compose
from triptych.projector.settings import ProjectorSettings

if __name__ == "__main__":
    sys.exit(run_service("projector", ProjectorSettings, compose, lambda settings: settings.projector_port))
