"""Tests posting to servers that answer with any bytes, and to URLs that must not change by a byte."""

import asyncio
import ssl
from collections.abc import Iterator
from functools import cache

import pytest

from tests.support.raw_server import LOOPBACK, PLAIN, open_raw_server
from tests.support.responses import NOT_RESPONSES, RESPONSES
from triptych.webhooks.http.client import Client, NotHttp
from triptych.webhooks.http.resolver import Resolver
from triptych.webhooks.http.responses import ResponseReader
from triptych.webhooks.http.targets import target_of
from triptych.webhooks.model.addresses import ForbiddenAddress

# Registered paths and queries, and the request target; None if it is the same.
TARGETS = {
    "/workflows/36e0/invoke?sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=6V3R": None,
    "/hook?sig=a%2Bb%2fc%3D%3D&e=x%40y.example&p=%28a%29": None,
    "/hook?redirect=https%3A%2F%2Fshop.example%2Fx%3Fy%3D1": None,
    "/hook?x=%c3%bc": None,
    "/%7Euser/~x": None,
    "/a/../b/./c//d": None,
    "/hook?": None,
    "/hook?a=1?b&&=": None,
    "/{id}/\"<>|\\^`'": None,
    "/%zz%": None,
    "": "/",
    "?a=b": "/?a=b",
    "/hook#": "/hook",
}


@pytest.fixture(scope="module", autouse=True)
def certificates() -> Iterator[None]:
    """Read once: that takes 30 ms, and none of these servers has any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield


async def post(url: str, seconds: float = 5.0) -> ResponseReader:
    async with Resolver() as resolver, Client(LOOPBACK, resolver, 1_024) as client:
        return await client.post(url, {"webhook-id": "e"}, b"{}", seconds)


@pytest.mark.parametrize("name", RESPONSES)
async def test_the_status_line_decides(name: str) -> None:
    sent, status, _, _ = RESPONSES[name]
    async with open_raw_server(sent) as server:
        assert (await post(server.url())).status == status


@pytest.mark.parametrize("name", NOT_RESPONSES)
async def test_bytes_that_are_not_a_response_are_reported(name: str) -> None:
    async with open_raw_server(NOT_RESPONSES[name]) as server:
        with pytest.raises(NotHttp):
            await post(server.url())


async def test_an_end_without_a_response() -> None:
    async with open_raw_server(b"") as server:
        with pytest.raises(ConnectionError):
            await post(server.url())


async def test_a_status_line_and_silence_is_a_response() -> None:
    async with open_raw_server(b"HTTP/1.1 202 Accepted\r\nX-", stays_open=True) as server:
        assert (await post(server.url(), seconds=0.2)).status == 202
    async with open_raw_server(b"HTTP/1.1 20", stays_open=True) as server:
        with pytest.raises(TimeoutError):
            await post(server.url(), seconds=0.2)


@pytest.mark.parametrize("registered", TARGETS)
async def test_the_address_is_the_registered_one(registered: str) -> None:
    async with open_raw_server(PLAIN) as server:
        await post(server.url(registered))
        assert server.targets == [TARGETS[registered] or registered]
        head = server.requests[0].split(b"\r\n\r\n")[0]
        assert b"Host: 127.0.0.1:%d\r\n" % server.port in head


def test_authorities() -> None:
    assert target_of("HTTPS://Shop.Example:443/x").authority == "shop.example"
    assert target_of("http://[::1]:8080?q").authority == "[::1]:8080"
    assert target_of("http://shop.example:443/").authority == "shop.example:443"
    for unusable in ("ftp://shop.example/", "http:///x", "http://shop.example/\n", "http://b\xfccher.example/"):
        with pytest.raises(ValueError, match="address"):
            target_of(unusable)


async def test_a_connection_is_used_again_unless_a_response_was_odd() -> None:
    async with open_raw_server(PLAIN, stays_open=True) as server, Resolver() as resolver:
        async with Client(LOOPBACK, resolver, 1_024) as client:
            for _ in range(3):
                await client.post(server.url(), {}, b"{}", 5)
            assert server.connections == 1
            server.answer = PLAIN + b"more"
            await client.post(server.url(), {}, b"{}", 5)
            server.answer = PLAIN
            await client.post(server.url(), {}, b"{}", 5)
            assert server.connections == 2
        assert len(server.requests) == 5


async def test_a_connection_that_ended_meanwhile_is_not_used_again() -> None:
    async with open_raw_server(PLAIN) as server, Resolver() as resolver, Client(LOOPBACK, resolver, 1_024) as client:
        for _ in range(3):
            await client.post(server.url(), {}, b"{}", 5)
            await asyncio.sleep(0.01)
        assert server.connections == 3


async def test_no_header_can_contain_another() -> None:
    async with Resolver() as resolver, Client(LOOPBACK, resolver, 0) as client:
        with pytest.raises(ValueError, match="one line"):
            await client.post("http://127.0.0.1:9/", {"webhook-id": "a\r\nb: c"}, b"", 1)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "1.2.3.4.5"])
async def test_other_spellings_of_addresses_are_not_dialled(host: str) -> None:
    with pytest.raises(ForbiddenAddress):
        await post(f"http://{host}:9/")
