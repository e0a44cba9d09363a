"""Starts the gateway: `python -m triptych.gateway`."""

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # until `run_service`: the imports make no garbage, and the search for it takes a sixth of their time
    from triptych.gateway.app import compose, tls_context
    from triptych.gateway.http.errors import server_refusal
    from triptych.gateway.settings import GatewaySettings
    from triptych.kit.startup.lifecycle import run_service

    sys.exit(
        run_service(
            "gateway", GatewaySettings, compose, lambda settings: settings.gateway_port, server_refusal, tls_context
        )
    )
