"""Starts the webhook relay: `python -m services.webhooks`."""

import sys

from services.kit.lifecycle import run_service
from services.webhooks.app import compose
from services.webhooks.settings import WebhookSettings

if __name__ == "__main__":
    sys.exit(run_service("webhooks", WebhookSettings, compose, lambda settings: settings.webhooks_port))
