"""Plain HTTP within this machine, for the tests' own servers and clients."""

import socket
import ssl

from triptych.devstack.ports import LOOPBACK

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For `verify` of a client of plain HTTP: by default each client reads all certificates of the machine, for 30 ms."""


def listening_socket(backlog: int = 100) -> socket.socket:
    """A socket that listens on a free port.

    It names its protocol, which `socket.create_server` does not do. asyncio turns Nagle's algorithm off only where the
    protocol is named; otherwise each answer in two parts would wait about 40 ms for an acknowledgement.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind((LOOPBACK, 0))
    listener.listen(backlog)
    return listener
