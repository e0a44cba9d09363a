"""Takes the client's address, scheme and host from the headers of trusted proxies, and from nobody else."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from triptych.webhooks.model.addresses import Address, Network

FOR, PROTO, HOST, FORWARDED = "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"
PROXY_HEADERS = (FOR, PROTO, HOST, FORWARDED)
"""The headers that may be read. A proxy passes on what it does not set, so only those that it sets are to be read."""

_SCHEMES = ("http", "https")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PAIR = re.compile(r'\s*([A-Za-z]+)=(?:"([^"\\]*)"|([^\s";,=]+))\s*')


@dataclass(frozen=True, slots=True)
class Origin:
    """What proxies say about a request. None means that they say nothing that can be used."""

    client: str
    scheme: str | None = None
    host: str | None = None


def origin_of(
    peer: str, headers: Iterable[tuple[bytes, bytes]], trusted: Sequence[Network], read: Iterable[str]
) -> Origin | None:
    """The origin of a request; None if the connection is not from a trusted proxy.

    Args:
        peer: the address at the other end of the connection.
        headers: of the request, with names in lower case.
        trusted: the networks of the proxies.
        read: which of `PROXY_HEADERS` the proxies set.
    """
    address = _address(peer)
    if address is None or not _is_in(address, trusted):
        return None
    texts: dict[str, str] = {}
    wanted = set(read)
    for raw_name, raw in headers:
        name = raw_name.decode("latin-1")
        if name in wanted:
            texts[name] = f"{texts[name]},{raw.decode('latin-1')}" if name in texts else raw.decode("latin-1")
    if FORWARDED in texts:
        return _by_forwarded(str(address), texts[FORWARDED], trusted)
    client = _client(str(address), reversed(texts[FOR].split(",")), trusted) if FOR in texts else str(address)
    return Origin(client, _scheme(_last(texts.get(PROTO))), _host(_last(texts.get(HOST))))


def _client(peer: str, hops: Iterable[str], trusted: Sequence[Network]) -> str:
    """The first address, from the nearest hop on, that is not one of a trusted proxy."""
    client = peer
    for hop in hops:
        address = _address(hop)
        if address is None:
            return client  # everything beyond it was said by nobody that is known
        client = str(address)
        if not _is_in(address, trusted):
            return client
    return client


def _by_forwarded(peer: str, text: str, trusted: Sequence[Network]) -> Origin:
    """As RFC 7239 says. Each proxy appends an element, so the elements are read from the end."""
    origin = Origin(peer)
    for element in reversed(text.split(",")):
        pairs = _pairs(element)
        address = _address(pairs.get("for", ""))
        if pairs:
            client = str(address) if address is not None else origin.client
            origin = Origin(client, _scheme(pairs.get("proto")), _host(pairs.get("host")))
        if address is None or not _is_in(address, trusted):
            break
    return origin


def _pairs(element: str) -> dict[str, str]:
    """The pairs of an element; none if it is malformed."""
    found: dict[str, str] = {}
    for pair in element.split(";"):
        match = _PAIR.fullmatch(pair)
        if match is None:
            return {}
        found[match[1].lower()] = match[2] if match[2] is not None else match[3]
    return found


def _address(text: str) -> Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A server that listens on both versions sees clients of version 4 by mapped addresses.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _last(text: str | None) -> str | None:
    return text.rpartition(",")[2].strip() if text is not None else None


def _scheme(text: str | None) -> str | None:
    return text.lower() if text is not None and text.lower() in _SCHEMES else None


def _host(text: str | None) -> str | None:
    return text if text is not None and _HOST.fullmatch(text) else None


class ForwardedHeaders:
    """ASGI middleware that puts the origin into the request, where the application looks for it."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network], read: Sequence[str]) -> None:
        """`trusted` and `read` are those of `origin_of`."""
        self._app = app
        self._trusted = trusted
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope.get("client"):
            origin = origin_of(scope["client"][0], scope["headers"], self._trusted, self._read)
            if origin is not None:
                scope = {**scope, **_changes(scope, origin)}
        await self._app(scope, receive, send)


def _changes(scope: Scope, origin: Origin) -> Scope:
    changes: Scope = {"client": (origin.client, 0)}
    if origin.scheme is not None:
        changes["scheme"] = origin.scheme
    if origin.host is not None:
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        changes["headers"] = [(b"host", origin.host.encode("latin-1")), *others]
    return changes
