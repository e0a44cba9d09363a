"""Starts the webhook relay: `python -m triptych.webhooks`."""

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # until `run_service`: the imports make no garbage, and the search for it takes a sixth of their time
    from triptych.kit.startup.lifecycle import run_service
    from triptych.webhooks.app import compose
    from triptych.webhooks.settings import WebhookSettings

    sys.exit(run_service("webhooks", WebhookSettings, compose, lambda settings: settings.webhooks_port))
