"""Free ports are found, and busy ports are refused."""

import socket

import pytest

from triptych.devstack.errors import StackUnavailable
from triptych.devstack.ports import LOOPBACK, free_ports, is_free, require_free


def test_free_port_can_be_listened_on() -> None:
    with socket.create_server((LOOPBACK, free_ports(1)[0])) as server:
        assert not is_free(server.getsockname()[1])


def test_free_ports_differ() -> None:
    assert len(set(free_ports(500))) == 500


def test_busy_port_is_named_with_the_setting_that_chooses_another() -> None:
    with socket.create_server((LOOPBACK, free_ports(1)[0])) as server:
        port = server.getsockname()[1]
        with pytest.raises(StackUnavailable, match=rf"Port {port} .* for Kafka.*TRIPTYCH_KAFKA_PORT=\d+"):
            require_free(port, server="Kafka", setting="TRIPTYCH_KAFKA_PORT")


def test_no_port_wanted_is_fine() -> None:
    require_free(None, server="Kafka", setting="TRIPTYCH_KAFKA_PORT")
