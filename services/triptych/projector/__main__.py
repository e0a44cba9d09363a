"""Starts the projector: `python -m triptych.projector`."""

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # until `run_service`: the imports make no garbage, and the search for it takes a sixth of their time
    from triptych.kit.startup.lifecycle import run_service
    from triptych.projector.app import compose
    from triptych.projector.settings import ProjectorSettings

    sys.exit(run_service("projector", ProjectorSettings, compose, lambda settings: settings.projector_port))
