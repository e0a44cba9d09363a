"""Splits the URL of a listener into origin and request target, purely, without changing a byte of the target."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_AUTHORITY = re.compile(r"[A-Za-z]+://[^/?#]*")
TARGETS_KEPT = 4_096


class Origin(NamedTuple):
    """The server to connect to. Connections with the same origin are interchangeable."""

    is_tls: bool
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of a request, as its head states it."""

    origin: Origin
    authority: str
    """The value of the Host header field."""
    path: str
    """The request target: path and query, byte for byte as registered."""


@lru_cache(maxsize=TARGETS_KEPT)
def target_of(url: str) -> Target:
    """The target of a URL.

    Receivers may sign or compare a path byte for byte (presigned URLs), so escapes, dots and an empty query stay.

    Raises:
        ValueError: the text is not an http or https URL in ASCII.
    """
    parts = urlsplit(url)
    found = _AUTHORITY.match(url)
    if parts.scheme not in _PORTS or not parts.hostname or found is None or not _is_plain(url):
        raise ValueError("not an http or https address in ASCII")
    default = _PORTS[parts.scheme]
    port = parts.port or default
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = url[found.end() :].partition("#")[0]
    return Target(
        Origin(parts.scheme == "https", parts.hostname, port),
        host if port == default else f"{host}:{port}",
        path if path.startswith("/") else "/" + path,
    )


def literal_address(host: str) -> str | None:
    """The host if it is an IP address; None if it is a name."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def is_number(host: str) -> bool:
    """Whether some resolvers read a name as an IP address: in decimal, octal or hexadecimal.

    The rule is from the WHATWG URL standard: the last label of a name is never a number.
    """
    return _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is not None


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url
