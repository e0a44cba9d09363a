"""Finds free TCP ports on the loopback address, and checks that a chosen port is free."""

import secrets
import socket
from itertools import islice

from triptych.devstack.errors import StackUnavailable

LOOPBACK = "127.0.0.1"

# Below the range from which Linux (32768) and macOS (49152) take ports for outgoing connections. So no connection can
# take a port between its choice and the start of the server.
_FREE_RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        # As servers do, so that a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return `count` different free ports, chosen at random so that stacks that start together choose different ones.

    Raises StackUnavailable if too few ports are free.
    """
    candidates = secrets.SystemRandom().sample(_FREE_RANGE, len(_FREE_RANGE))
    found = list(islice(filter(is_free, candidates), count))
    if len(found) < count:
        raise StackUnavailable(f"No free TCP port was found between {_FREE_RANGE.start} and {_FREE_RANGE.stop - 1}.")
    return found


def require_free(port: int | None, *, server: str, setting: str) -> None:
    """Raise StackUnavailable if `port` is in use. The message names the setting that chooses another port."""
    if port is not None and not is_free(port):
        raise StackUnavailable(
            f"Port {port} of {LOOPBACK}, wanted for {server}, is in use by another program. "
            f"Stop that program, or choose another port, for example {setting}={free_ports(1)[0]}"
        )
