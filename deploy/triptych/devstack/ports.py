"""TCP ports on the loopback address: finding free ones, and saying clearly when a fixed one is taken."""

import secrets
import socket
from itertools import islice

from triptych.devstack.errors import StackUnavailable

LOOPBACK = "127.0.0.1"

# Below the range from which Linux (32768) and macOS (49152) take ports for outgoing connections, so that
# no connection made between choosing a port and listening on it can take it away.
_FREE_RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Say whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return different free ports, chosen at random so that stacks starting together do not choose the same ones.

    Raises StackUnavailable if there are not enough.
    """
    candidates = secrets.SystemRandom().sample(_FREE_RANGE, len(_FREE_RANGE))
    found = list(islice(filter(is_free, candidates), count))
    if len(found) < count:
        raise StackUnavailable(f"No free TCP port was found between {_FREE_RANGE.start} and {_FREE_RANGE.stop - 1}.")
    return found


def require_free(port: int | None, *, server: str, setting: str) -> None:
    """Raise StackUnavailable, naming the setting that chooses another port, if a wanted port is taken."""
    if port is not None and not is_free(port):
        raise StackUnavailable(
            f"Port {port} of {LOOPBACK}, wanted for {server}, is in use by another program. "
            f"Stop that program, or choose another port, for example {setting}={free_ports(1)[0]}"
        )
