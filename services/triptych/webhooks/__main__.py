"""Starts the webhook relay: `python -m triptych.webhooks`."""

import sys

from triptych.kit.startup.lifecycle import run_service
from triptych.webhooks.app import compose
from triptych.webhooks.settings import WebhookSettings

if __name__ == "__main__":
    sys.exit(run_service("webhooks", WebhookSettings, compose, lambda settings: settings.webhooks_port))
