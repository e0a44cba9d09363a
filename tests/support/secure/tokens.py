"""Tokens for OAUTHBEARER, which Kafka's own validator accepts unsigned, and a server that gives them out."""

import base64
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from aiohttp import web

from tests.support.secure.certificates import Pair


def token(seconds: float = 600) -> str:
    """A JSON web token that expires after this time; a negative one has expired."""
    now = int(time.time())
    claims = {"sub": "panel", "iat": now - 3_600, "exp": now + int(seconds)}
    return ".".join((_encoded({"alg": "none"}), _encoded(claims), ""))


def _encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@dataclass
class TokenServer:
    """A token URL for one client.

    Attributes:
        url: of the server.
        seconds: the life of the tokens that it gives out.
        requests: the forms that it received, with the client's credentials.
        failure: the status and body of every response, if set.
    """

    url: str = ""
    seconds: float = 600
    requests: list[dict[str, str]] = field(default_factory=list)
    failure: tuple[int, str] | None = None

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a request for a token."""
        form = {name: values[0] for name, values in parse_qs((await request.read()).decode()).items()}
        kind, _, credentials = request.headers["Authorization"].partition(" ")
        self.requests.append({**form, kind: base64.b64decode(credentials).decode()})
        if self.failure is not None:
            return web.Response(status=self.failure[0], text=self.failure[1])
        return web.json_response({"access_token": token(self.seconds), "expires_in": self.seconds})


@asynccontextmanager
async def token_server(pair: Pair) -> AsyncIterator[TokenServer]:
    """Serve tokens by HTTPS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    server = TokenServer()
    app = web.Application()
    app.router.add_post("/token", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        server.url = f"https://127.0.0.1:{runner.addresses[0][1]}/token"
        yield server
    finally:
        await runner.cleanup()
