"""Tokens of OAUTHBEARER: a file is read for each connection, a requested token is kept until it nearly expires."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.conn import AIOKafkaConnection
from pydantic import SecretStr

from tests.support.secure.certificates import Authority
from tests.support.secure.tokens import TokenServer, token, token_server
from triptych.kit.failures import Fault, fault_of
from triptych.kit.kafka.errors import TokenRefused, TokenUnavailable
from triptych.kit.kafka.security import connection_options
from triptych.kit.kafka.tokens import FileTokens, RequestedTokens, TokenRequest
from triptych.kit.process.settings import KitSettings


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[TokenServer]:
    async with token_server(authority.issue("login")) as running:
        yield running


def asking(server: TokenServer, authority: Authority | None, scope: str | None = None) -> TokenRequest:
    return TokenRequest(server.url, "panel+1", "s/c:r t", scope, authority.file if authority else None)


async def test_a_rotated_file_is_read_for_each_connection(tmp_path: Path) -> None:
    path = tmp_path / "token"
    tokens = FileTokens(path)
    with pytest.raises(TokenRefused, match=r"TRIPTYCH_KAFKA_OAUTH_TOKEN_FILE: .* cannot be read") as refused:
        await tokens.token()
    assert fault_of(refused.value) is Fault.OPERATOR
    for text in ("opaque", token(), token(-30)):  # clocks differ: what has just expired is left to the broker
        path.write_text(f"{text}\n")
        assert await tokens.token() == text
    path.write_text(token(-100))
    with pytest.raises(TokenRefused, match="expired at 20") as refused:
        await tokens.token()
    assert token(-100)[:20] not in str(refused.value)


async def test_a_token_is_requested_once_until_shortly_before_it_expires(
    server: TokenServer, authority: Authority
) -> None:
    now = 0.0
    tokens = RequestedTokens(asking(server, authority, "kafka"), lambda: now)
    first = await asyncio.gather(*(tokens.token() for _ in range(5)))
    assert len(set(first)) == len(server.requests) == 1
    assert server.requests[0] == {
        "grant_type": "client_credentials",
        "scope": "kafka",
        "Basic": "panel%2B1:s%2Fc%3Ar+t",  # encoded as RFC 6749, section 2.3.1, says
    }
    now = 569.0
    await tokens.token()
    assert len(server.requests) == 1
    now = 570.0
    await tokens.token()
    assert len(server.requests) == 2
    server.seconds = 10
    now = 2_000.0
    await tokens.token()
    now = 2_004.0
    await tokens.token()
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [
        ((401, '{"error":"invalid_client","error_description":"hidden"}'), TokenRefused, "status 401, invalid_client"),
        ((400, "hidden"), TokenRefused, "status 400"),
        ((503, "hidden"), TokenUnavailable, "status 503"),
        ((200, '{"access_token":""}'), TokenUnavailable, "gives no token"),
        ((200, "[]"), TokenUnavailable, "gives no token"),
        ((302, ""), TokenUnavailable, "status 302"),
    ],
)
async def test_a_refused_client_is_told_from_a_server_in_trouble(
    server: TokenServer, authority: Authority, failure: tuple[int, str], error: type[Exception], words: str
) -> None:
    server.failure = failure
    with pytest.raises(error, match=words) as failed:
        await RequestedTokens(asking(server, authority)).token()
    assert "hidden" not in str(failed.value)
    assert "s/c:r t" not in f"{failed.value} {asking(server, authority)!r}"


async def test_an_untrusted_token_url_is_refused_and_an_absent_one_awaited(server: TokenServer) -> None:
    with pytest.raises(TokenRefused, match="is not trusted"):
        await RequestedTokens(asking(server, None)).token()
    assert server.requests == []
    with pytest.raises(TokenUnavailable):
        await RequestedTokens(TokenRequest("https://127.0.0.1:1/token", "c", "s")).token()


async def test_all_clients_of_a_process_share_one_token(server: TokenServer, authority: Authority) -> None:
    settings = KitSettings(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="OAUTHBEARER",
        kafka_oauth_token_url=server.url,
        kafka_oauth_client_id="c",
        kafka_oauth_client_secret=SecretStr("s"),
        kafka_oauth_ca_file=authority.file,
    )
    providers = [connection_options(settings)["sasl_oauth_token_provider"] for _ in range(3)]
    assert len({await provider.token() for provider in providers}) == len(server.requests) == 1


async def test_aiokafka_still_takes_a_refusal_for_success() -> None:
    """Once it does not, `oauth_refusals` can go: aiokafka's own authenticator ends after any response."""
    from aiokafka.conn import OAuthAuthenticator

    class Tokens(FileTokens):
        async def token(self) -> str:
            return "t"

    provider = Tokens(Path("unused"))
    theirs = OAuthAuthenticator(sasl_oauth_token_provider=provider)
    await theirs.step(None)
    assert await theirs.step(b'{"status":"invalid_token"}') is None
    connection = AIOKafkaConnection("127.0.0.1", 1, sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=provider)
    ours = connection.authenticator_oauth()
    await ours.step(None)
    assert await ours.step(b'{"status":"invalid_token"}') == (b"\x01", True)
    assert await ours.step(b"") is None


def test_no_level_of_the_log_shows_requests_with_passwords(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="aiokafka.conn"):
        logging.getLogger("aiokafka.conn").debug("Request to %s: %s", "broker", "SaslAuthenticateRequest(hidden)")
        logging.getLogger("aiokafka.conn").warning("shown")
    assert caplog.messages == ["shown"]
