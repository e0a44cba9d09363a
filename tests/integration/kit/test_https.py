"""The HTTPS server: only TLS, only in time, and nobody's word about the client."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.plain_http import NO_TLS, listening_socket
from tests.support.secure.certificates import Authority
from tests.support.waiting import eventually
from triptych.kit.process.http_server import make_server
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.tls import TlsFiles, server_context


async def app(scope: Any, _receive: Any, send: Any) -> None:
    """Respond with the scheme and the client that the application sees."""
    body = f"{scope['scheme']} {scope['client'][0]}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A running server. Yields its port."""
    listener = listening_socket()
    bounds = replace(KitSettings().http_bounds(), head_seconds=0.5)
    server = make_server(app, bounds, host="127.0.0.1", port=0, graceful_seconds=1, tls=tls)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await eventually(lambda: asyncio.sleep(0, server.started), "the server runs")
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


def context_of(authority: Authority) -> ssl.SSLContext:
    return server_context(TlsFiles("X", certificate=authority.issue("server").both), ssl.TLSVersion.TLSv1_3)


async def test_it_speaks_tls_alone_and_serves_a_renewed_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusting = ssl.create_default_context(cafile=authority.file)
    old = ssl.create_default_context(cafile=authority.file)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(context_of(authority)) as port:
        serials = set()
        for _ in range(2):
            async with httpx.AsyncClient(verify=trusting) as client:
                response = await client.get(f"https://127.0.0.1:{port}/")
                assert response.text == "https 127.0.0.1"
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
            serials.add(writer.get_extra_info("peercert")["serialNumber"])
            writer.close()
            authority.issue("server")
        assert len(serials) == 2
        async with httpx.AsyncClient(verify=NO_TLS) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"http://127.0.0.1:{port}/")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=old)


async def test_a_handshake_that_does_not_come_is_ended(tmp_path: Path) -> None:
    async with serving(context_of(Authority(tmp_path))) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_no_server_believes_headers_about_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn would, by default from this machine, and from everywhere by this variable."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    spoofed = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Forwarded": "for=203.0.113.9"}
    async with serving(None) as port, httpx.AsyncClient(verify=NO_TLS) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/", headers=spoofed)).text == "http 127.0.0.1"
