"""Servers on this machine are found by the port that they listen on; others are not taken for them."""

import socket

import pytest

from benchmarks.servers import find_servers, inode_of
from triptych.devstack.stack import Addresses

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:98B4 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:98B4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1
   2: 0100007F:90A9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1
"""


def test_the_listening_socket_of_a_port_is_found() -> None:
    assert inode_of(TABLE.splitlines(), 0x98B4) == "222"
    assert inode_of(TABLE.splitlines(), 0x90A9) == "333"
    assert inode_of(TABLE.splitlines(), 1) is None


@pytest.mark.parametrize("host", ["kafka.example.com", "127.0.0.1:1,127.0.0.1"])
def test_servers_elsewhere_have_no_process_here(host: str) -> None:
    assert find_servers(Addresses(f"{host}:9092", f"mongodb://{host}:27017/?replicaSet=rs0", "external")) is None


def test_another_program_on_the_port_is_not_the_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert find_servers(Addresses(address, f"mongodb://{address}/", "external")) is None
