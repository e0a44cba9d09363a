"""Checks the host of a listener's URL, purely, before the listener is stored."""

import re
from ipaddress import IPv6Address, ip_address

import idna

NAME_MAX = 253
_AUTHORITY = re.compile(r"([A-Za-z]+://)([^/?#\\]*)(.*)", re.DOTALL)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


def with_ascii_host(url: str) -> str:
    """The URL with an international host name in its ASCII form (`xn--`). All other characters stay.

    Raises:
        ValueError: the host name has no ASCII form. The message says why.
    """
    found = _AUTHORITY.fullmatch(url)
    if found is None or found[2].isascii():
        return url
    host, colon, port = found[2].partition(":")
    try:
        return f"{found[1]}{idna.encode(host, uts46=True).decode()}{colon}{port}{found[3]}"
    except idna.IDNAError as error:
        raise ValueError(f"no international host name: {error}") from None


def check_host(host: str) -> None:
    """Check that a host can be dialled or looked up: an IP address, or a host name (RFC 1123).

    Args:
        host: without port and brackets, in ASCII.

    Raises:
        ValueError: the host is neither. The message says what is expected.
    """
    try:
        address = ip_address(host)
    except ValueError:
        pass
    else:
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            raise ValueError("no address of this machine's own networks")
        return
    name = host.removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        raise ValueError("an IP address only in its usual spelling")
    if len(name) > NAME_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(
            f"a host name with labels of 1 to 63 letters, digits and hyphens, {NAME_MAX} characters in all"
        )
