"""HTTP connections that cannot lead to a forbidden address: the address is checked where it is dialled."""

import socket
import ssl
from collections.abc import Sequence

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from services.webhooks.addresses import Network, check_address

# Shorter than what common servers grant (Node: 5 s), so that a POST seldom meets a connection about to be closed.
KEEP_ALIVE_SECONDS = 3.0
NAMES_CACHED_SECONDS = 10
USER_AGENT = "Triptych-Webhooks/1"


class GuardedResolver(ThreadedResolver):
    """Refuses a name if any of its addresses is forbidden: one that leads both ways is not to be trusted."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        super().__init__()
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises ForbiddenAddress, or OSError if there are none."""
        found = await super().resolve(host, port, family)
        for result in found:
            check_address(result["host"], self._allowed)
        return found


def open_session(allowed: Sequence[Network]) -> aiohttp.ClientSession:
    """A client for deliveries: no proxy, no cookies, no decompression, certificates verified.

    Posting raises ForbiddenAddress instead of connecting. Must be called, and closed, where the event loop runs.
    """

    def dial(info: AddrInfoType) -> socket.socket:
        # The last moment before connecting, whether the address came from a name or stood in the URL itself: what a
        # name resolved to a moment ago does not matter here, only where the packets would go.
        family, kind, protocol, _, address = info
        check_address(str(address[0]), allowed)
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(allowed),
        ttl_dns_cache=NAMES_CACHED_SECONDS,
        limit=0,  # the worker counts requests itself, by listener
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        ssl=ssl.create_default_context(),
        socket_factory=dial,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={"User-Agent": USER_AGENT},
    )
