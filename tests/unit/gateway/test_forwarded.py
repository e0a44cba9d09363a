"""Headers about the client are believed from trusted proxies only, and only those headers that proxies set."""

from ipaddress import ip_network
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from triptych.gateway.http.forwarded import PROXY_HEADERS, ForwardedHeaders, Origin, origin_of

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
X_FORWARDED = PROXY_HEADERS[:3]


def read(peer: str, wanted: tuple[str, ...] = X_FORWARDED, **headers: str | tuple[str, ...]) -> Origin | None:
    lines = [
        (name.replace("_", "-").encode(), value.encode())
        for name, values in headers.items()
        for value in ((values,) if isinstance(values, str) else values)
    ]
    return origin_of(peer, lines, TRUSTED, wanted)


@pytest.mark.parametrize("peer", ["203.0.113.9", "::1", "127.0.0.1", "11.0.0.1", "", "unix"])
def test_nobody_else_is_believed(peer: str) -> None:
    spoofed: dict[str, Any] = {
        "x_forwarded_for": "10.0.0.7",
        "x_forwarded_proto": "https",
        "x_forwarded_host": "bank.example",
    }
    assert read(peer, **spoofed) is None
    assert read(peer, ("forwarded",), forwarded="for=10.0.0.7;proto=https;host=bank.example") is None


@pytest.mark.parametrize(
    ("peer", "value", "client"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "10.9.9.9, 198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the client wrote the first two
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", ("198.51.100.1", "203.0.113.9, 10.0.0.2"), "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("fd00::1", "[2001:db8::9]:4711", "2001:db8::9"),
        ("::ffff:10.0.0.1", "2001:db8::9", "2001:db8::9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9, <script>", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_the_client_is_the_nearest_hop_that_is_no_trusted_proxy(
    peer: str, value: str | tuple[str, ...], client: str
) -> None:
    assert read(peer, x_forwarded_for=value) == Origin(client)


def test_scheme_and_host_are_checked() -> None:
    seen = read("10.0.0.1", x_forwarded_proto="http, https", x_forwarded_host="g.example:8443")
    assert seen == Origin("10.0.0.1", "https", "g.example:8443")
    assert read("10.0.0.1", x_forwarded_proto="gopher", x_forwarded_host="a\r\nb: c") == Origin("10.0.0.1")
    assert read("10.0.0.1", x_forwarded_host="a.example/evil") == Origin("10.0.0.1")


def test_a_header_that_the_proxies_do_not_set_is_ignored() -> None:
    spoofed: dict[str, Any] = {
        "x_forwarded_for": "203.0.113.9",
        "x_forwarded_host": "bank.example",
        "forwarded": "for=192.0.2.1",
    }
    assert read("10.0.0.1", ("x-forwarded-for",), **spoofed) == Origin("203.0.113.9")


@pytest.mark.parametrize(
    ("value", "origin"),
    [
        ("for=203.0.113.9;proto=https;host=g.example", Origin("203.0.113.9", "https", "g.example")),
        ('For="[2001:db8::9]:4711"; Proto=HTTPS', Origin("2001:db8::9", "https")),
        ("for=192.0.2.1;host=bank.example, for=203.0.113.9;host=g.example", Origin("203.0.113.9", None, "g.example")),
        ("for=203.0.113.9;proto=https, for=10.0.0.2;proto=http", Origin("203.0.113.9", "https")),
        ("for=unknown;proto=https", Origin("10.0.0.1", "https")),
        ('for="203.0.113.9, for=198.51.100.7', Origin("198.51.100.7")),
        ("nonsense", Origin("10.0.0.1")),
    ],
)
def test_forwarded_is_read_from_its_end(value: str, origin: Origin) -> None:
    assert read("10.0.0.1", ("forwarded",), forwarded=value) == origin


async def test_the_application_sees_the_origin() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def nothing(*_: object) -> None: ...

    middleware = ForwardedHeaders(app, TRUSTED, X_FORWARDED)
    headers = [(b"host", b"inner"), (b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-host", b"g.example")]
    for peer in ("10.0.0.1", "203.0.113.7"):
        scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": headers}
        await middleware(scope, nothing, nothing)  # type: ignore[arg-type]
    assert seen[0]["client"][0] == "203.0.113.9"
    assert seen[0]["headers"][0] == (b"host", b"g.example")
    assert seen[1]["client"][0] == "203.0.113.7"
    assert seen[1]["headers"][0] == (b"host", b"inner")
