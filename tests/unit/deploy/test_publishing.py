"""Ports of servers without authentication are never published on all addresses of the machine."""

import pytest
from testcontainers.core.config import ConnectionMode

from triptych.devstack.containers import gateway_of, published_address

GATEWAY = "172.17.0.1"


@pytest.mark.parametrize(
    ("mode", "host", "address"),
    [
        (ConnectionMode.docker_host, "localhost", "127.0.0.1"),
        (ConnectionMode.docker_host, "127.0.0.1", "127.0.0.1"),
        (ConnectionMode.docker_host, "10.0.0.7", "10.0.0.7"),  # an engine on another machine
        (ConnectionMode.docker_host, GATEWAY, GATEWAY),  # this process runs in a container that has the engine's socket
        (ConnectionMode.gateway_ip, "localhost", GATEWAY),
        (ConnectionMode.bridge_ip, "localhost", None),
    ],
)
def test_one_address_or_none(mode: ConnectionMode, host: str, address: str | None) -> None:
    assert published_address(mode, lambda: host, lambda: GATEWAY) == address


@pytest.mark.parametrize(
    ("config", "gateway"),
    [
        ({"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.9"}, "172.17.0.9"),
        ({"Subnet": "172.17.0.0/16"}, "172.17.0.1"),
        ({"Subnet": "10.1.2.0/24", "Gateway": ""}, "10.1.2.1"),
    ],
)
def test_gateway_of_a_network_whether_the_engine_names_it_or_not(config: dict[str, str], gateway: str) -> None:
    assert gateway_of({"IPAM": {"Config": [config, {"Subnet": "fd00::/64"}]}}) == gateway
