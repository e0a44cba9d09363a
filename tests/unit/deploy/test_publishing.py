"""Servers without authentication are never published on all addresses of the machine."""

import pytest
from testcontainers.core.config import ConnectionMode

from triptych.devstack.containers import published_address

GATEWAY = "172.17.0.1"


@pytest.mark.parametrize(
    ("mode", "host", "address"),
    [
        (ConnectionMode.docker_host, "localhost", "127.0.0.1"),
        (ConnectionMode.docker_host, "127.0.0.1", "127.0.0.1"),
        (ConnectionMode.docker_host, "10.0.0.7", "10.0.0.7"),  # an engine on another machine
        (ConnectionMode.docker_host, GATEWAY, GATEWAY),  # in a container, with the engine's socket
        (ConnectionMode.gateway_ip, "localhost", GATEWAY),
        (ConnectionMode.bridge_ip, "localhost", None),
    ],
)
def test_one_address_or_none(mode: ConnectionMode, host: str, address: str | None) -> None:
    assert published_address(mode, lambda: host, lambda: GATEWAY) == address
