"""The methods of a path, HEAD requests, and requests from pages of other origins."""

import asyncio
from functools import cache

import pytest
from fastapi import FastAPI

from tests.support.gateway_alone import request, standalone_gateway

G = "0198c0de-0000-4000-8000-000000000001"
GALLERIES = "/progallery/v2/galleries"


@cache
def alone() -> FastAPI:
    """One for all tests: it takes half a second to make. A stream of it would last: nobody may wait for its end."""
    return standalone_gateway(gateway_stream_lifetime=600)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (GALLERIES, "GET, POST, HEAD"),
        (f"/pro-gallery/v2/galleries/{G}", "DELETE, GET, PATCH, HEAD"),
        (f"{GALLERIES}/{G}/items", "DELETE, GET, POST, HEAD"),
        (f"{GALLERIES}/{G}/items/delete", "DELETE, GET, PATCH, POST, HEAD"),
        ("/v1/listeners", "GET, POST, HEAD"),
        (f"/v1/deliveries/{G}/resend", "POST"),
        ("/health/live", "GET, HEAD"),
    ],
)
async def test_a_method_that_a_path_does_not_have(path: str, allowed: str) -> None:
    reply = await request(alone(), "PUT", path.encode())
    assert (reply.status, reply.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (GALLERIES, 200),
        (f"{GALLERIES}/{G}", 404),
        ("/progallery/v2/events", 200),
        ("/health/live", 200),
        ("/docs", 200),
    ],
)
async def test_head_answers_as_get_without_a_body(path: str, status: int) -> None:
    async with asyncio.timeout(5):
        reply = await request(alone(), "HEAD", path.encode())
    assert (reply.status, reply.body) == (status, b"")
    assert reply.headers["x-wix-request-id"]


async def test_pages_of_other_origins_are_allowed_only_if_named() -> None:
    origin, other = ("origin", b"https://a.example"), ("origin", b"https://b.example")
    ask = [("access-control-request-method", b"PATCH"), ("access-control-request-headers", b"authorization, if-match")]
    app = standalone_gateway(gateway_cors_origins="https://a.example, https://c.example")
    path = f"{GALLERIES}/{G}".encode()

    preflight = await request(app, "OPTIONS", path, [origin, *ask])
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, "https://a.example")
    assert "if-match" in preflight.headers["access-control-allow-headers"]
    reply = await request(app, "GET", path, [origin])
    assert reply.headers["access-control-allow-origin"] == "https://a.example"
    assert "ETag" in reply.headers["access-control-expose-headers"]
    for gateway, page in ((app, other), (alone(), origin)):
        assert "access-control-allow-origin" not in (await request(gateway, "GET", path, [page])).headers
