"""Dials IP addresses to which deliveries may go, and checks each address immediately before it dials it.

This module looks up no names. It dials sockets of its own, because uvloop passes every address that it connects to
through its look-up threads, even an IP address.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest

from triptych.webhooks.model.addresses import Network, check_address

# How long to wait for one address before trying the next one as well (RFC 8305, section 5).
STAGGER_SECONDS = 0.25


async def connect(addresses: Sequence[str], port: int, allowed: Sequence[Network]) -> socket.socket:
    """A socket connected to the address of a host that answers first.

    Args:
        addresses: of one host. All must be allowed: a name with allowed and forbidden addresses is not trusted.
        port: of the host.
        allowed: networks that are not public and to which deliveries may go.

    Raises:
        ForbiddenAddress: an address is not allowed; nothing was dialled.
        OSError: no address answers.
    """
    for address in addresses:
        check_address(address, allowed)
    waiting = _alternate_families(addresses)
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
            for unused in connected[1:]:
                unused.close()
            if connected:
                return connected[0]
            error = next((found for task in done if isinstance(found := task.exception(), Exception)), error)
    finally:
        for task in dialling:
            task.add_done_callback(_close_unused)
            task.cancel()
    raise error


async def _dial(address: str, port: int, allowed: Sequence[Network]) -> socket.socket:
    # Check here, immediately before connecting: this is the address to which the packets go, whatever the name resolves
    # to by now.
    check_address(address, allowed)
    host, _, scope = address.partition("%")
    is_ipv6 = ":" in host
    dialled = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        dialled.setblocking(False)
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        destination = (host, port, 0, int(scope) if scope.isdecimal() else 0) if is_ipv6 else (host, port)
        code = dialled.connect_ex(destination)
        if code == errno.EINPROGRESS:
            await _wait_until_writable(dialled)
            code = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, f"cannot connect to {address} port {port}: {os.strerror(code)}")
    except BaseException:
        dialled.close()
        raise
    return dialled


async def _wait_until_writable(dialled: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def mark_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(dialled.fileno(), mark_ready)
    try:
        await ready
    finally:
        loop.remove_writer(dialled.fileno())


def _alternate_families(addresses: Sequence[str]) -> list[str]:
    """The addresses in their order, alternating between the two families (RFC 8305, section 4)."""
    first_is_ipv6 = ":" in addresses[0] if addresses else False
    first = [address for address in addresses if (":" in address) == first_is_ipv6]
    second = [address for address in addresses if (":" in address) != first_is_ipv6]
    return [address for address in chain.from_iterable(zip_longest(first, second)) if address is not None]


def _close_unused(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
