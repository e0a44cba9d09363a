"""Dials IP addresses, and only those that deliveries may go to: an address is checked where it is dialled.

No name is looked up here, and nothing here uses the event loop's threads for look-ups: uvloop asks them about every
address that it is told to connect to, even about one that is written in digits.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest

from triptych.webhooks.model.addresses import Network, check_address

# RFC 8305, section 5: how long one address has before the next one is tried as well.
STAGGER_SECONDS = 0.25


async def connect(addresses: Sequence[str], port: int, allowed: Sequence[Network]) -> socket.socket:
    """A connected socket to one of the addresses of a host, whichever answers first.

    Args:
        addresses: of one host; all must be allowed, since a name that leads both ways is not to be trusted.
        port: of the host.
        allowed: networks that deliveries may go to although they are not public.

    Raises:
        ForbiddenAddress: nothing was dialled.
        OSError: nobody answers.
    """
    for address in addresses:
        check_address(address, allowed)
    waiting = _by_turns(addresses)
    dialling: set[asyncio.Task[socket.socket]] = set()
    error: Exception = OSError("no address")
    try:
        while waiting or dialling:
            if waiting:
                dialling.add(asyncio.create_task(_dial(waiting.pop(0), port, allowed)))
            done, dialling = await asyncio.wait(
                dialling, timeout=STAGGER_SECONDS if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            connected = [task.result() for task in done if task.exception() is None]
            for spare in connected[1:]:
                spare.close()
            if connected:
                return connected[0]
            error = next((found for task in done if isinstance(found := task.exception(), Exception)), error)
    finally:
        for task in dialling:
            task.add_done_callback(_close_late)
            task.cancel()
    raise error


async def _dial(address: str, port: int, allowed: Sequence[Network]) -> socket.socket:
    # The last moment before connecting: what a name resolved to a moment ago does not matter here, only where the
    # packets would go.
    check_address(address, allowed)
    host, _, scope = address.partition("%")
    is_ipv6 = ":" in host
    dialled = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        dialled.setblocking(False)
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        place = (host, port, 0, int(scope) if scope.isdecimal() else 0) if is_ipv6 else (host, port)
        number = dialled.connect_ex(place)
        if number == errno.EINPROGRESS:
            await _writable(dialled)
            number = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, f"cannot connect to {address} port {port}: {os.strerror(number)}")
    except BaseException:
        dialled.close()
        raise
    return dialled


async def _writable(dialled: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def is_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(dialled.fileno(), is_ready)
    try:
        await ready
    finally:
        loop.remove_writer(dialled.fileno())


def _by_turns(addresses: Sequence[str]) -> list[str]:
    """The addresses in their order, the two families by turns (RFC 8305, section 4)."""
    first_is_ipv6 = ":" in addresses[0] if addresses else False
    first = [address for address in addresses if (":" in address) == first_is_ipv6]
    second = [address for address in addresses if (":" in address) != first_is_ipv6]
    return [address for address in chain.from_iterable(zip_longest(first, second)) if address is not None]


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
