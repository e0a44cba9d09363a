"""Starts the gateway: `python -m services.gateway`."""

import sys

from services.gateway.app import compose
from services.gateway.errors import refusal_body
from services.gateway.settings import GatewaySettings
from services.kit.lifecycle import run_service

if __name__ == "__main__":
    sys.exit(run_service("gateway", GatewaySettings, compose, lambda settings: settings.gateway_port, refusal_body))
