"""Starts the gateway: `python -m triptych.gateway`."""

import sys

from triptych.gateway.app import compose, tls_context
from triptych.gateway.http.errors import server_refusal
from triptych.gateway.settings import GatewaySettings
from triptych.kit.startup.lifecycle import run_service

if __name__ == "__main__":
    sys.exit(
        run_service(
            "gateway", GatewaySettings, compose, lambda settings: settings.gateway_port, server_refusal, tls_context
        )
    )
