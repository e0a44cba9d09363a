"""Judges the host of a listener's address, purely, before anything is sent there."""

import re
from ipaddress import IPv6Address, ip_address

import idna

NAME_MAX = 253
_AUTHORITY = re.compile(r"([A-Za-z]+://)([^/?#\\]*)(.*)", re.DOTALL)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


def with_ascii_host(url: str) -> str:
    """The address with an international host name as it is dialled (`xn--`); everything else stays as it is.

    Raises:
        ValueError: nobody can be asked about this name; the message says why.
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
    """Let a host pass that can be dialled or looked up: an IP address, or a name of the Internet (RFC 1123).

    Args:
        host: without port and brackets, in ASCII.

    Raises:
        ValueError: it is neither; the message says why.
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
