"""Decides, purely, which IP addresses may be connected to (RFC 6890 and IANA's special-purpose registries)."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

SETTING = "TRIPTYCH_WEBHOOKS_ALLOWED_NETWORKS"

_FORBIDDEN: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discard"),
        ("100:0:0:1::/64", "dummy prefix"),
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_MAPPED = ip_network("::ffff:0:0/96")
_TRANSLATED = ip_network("::ffff:0:0:0/96")
_NAT64 = ip_network("64:ff9b::/96")
_6TO4 = ip_network("2002::/16")


class ForbiddenAddress(Exception):
    """Deliveries must not go to this address. The message names the setting that can allow it."""


def check_address(text: str, allowed: Sequence[Network]) -> None:
    """Check an address that is about to be dialled, in the notation of the socket layer.

    Raises:
        ForbiddenAddress: the address is in a network that outsiders must not reach through the relay, and `allowed`
            does not contain it.
    """
    address = ip_address(text.partition("%")[0])
    forms = (address, *_embedded(address))
    if any(_contains(network, form) for network in allowed for form in forms):
        return
    for form in forms:
        kind = next((kind for network, kind in _FORBIDDEN if _contains(network, form)), None)
        if kind is not None:
            raise ForbiddenAddress(
                f"{text} is a {kind} address, where deliveries must not go. Allow its network in {SETTING} if they may."
            )


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks that texts in CIDR notation describe. Raises ValueError for any other text."""
    return tuple(ip_network(text.strip()) for text in texts)


def _embedded(address: Address) -> tuple[Address, ...]:
    """The IPv4 address to which a translator sends packets for this IPv6 address, if there is one."""
    if not isinstance(address, IPv6Address):
        return ()
    if any(_contains(network, address) for network in (_MAPPED, _TRANSLATED, _NAT64)):
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    if _contains(_6TO4, address):
        return (IPv4Address(int(address) >> 80 & 0xFFFF_FFFF),)
    return ()


def _contains(network: Network, address: Address) -> bool:
    return network.version == address.version and address in network
