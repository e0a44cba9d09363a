"""Takes the address of a listener apart, purely, without changing a byte of what is asked for."""

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
    """Whom to connect to: connections with the same origin are interchangeable."""

    is_tls: bool
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, as its head says it."""

    origin: Origin
    authority: str
    """The value of the Host header field."""
    path: str
    """The request target: path and query byte for byte as they were registered."""


@lru_cache(maxsize=TARGETS_KEPT)
def target_of(url: str) -> Target:
    """Where an address leads.

    A path may be signed or compared as it is (presigned addresses), so escapes, dots and an empty query stay.

    Raises:
        ValueError: it is not an http or https address in ASCII.
    """
    parts = urlsplit(url)
    found = _AUTHORITY.match(url)
    if parts.scheme not in _PORTS or not parts.hostname or found is None or not _is_plain(url):
        raise ValueError("not an http or https address in ASCII")
    usual = _PORTS[parts.scheme]
    port = parts.port or usual
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = url[found.end() :].partition("#")[0]
    return Target(
        Origin(parts.scheme == "https", parts.hostname, port),
        host if port == usual else f"{host}:{port}",
        path if path.startswith("/") else "/" + path,
    )


def literal_address(host: str) -> str | None:
    """The IP address that a host is; None for a name."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def is_number(host: str) -> bool:
    """Whether a host that is no IP address would be read as one by some resolvers: decimal, octal, hexadecimal.

    The rule of the WHATWG's URL standard: the last label of a name is never a number.
    """
    return _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is not None


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url
