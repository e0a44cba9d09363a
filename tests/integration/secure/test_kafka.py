"""Every way to connect to a secured Kafka works, and every wrong way is one clear line and no start."""

import asyncio
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.installation import PARTITIONS
from tests.support.secure.links import Fields, Links, settings_of
from tests.support.secure.servers import SESSION_SECONDS
from tests.support.secure.tokens import token, token_server
from tests.support.waiting import eventually
from triptych.contract.topics import Topics
from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.kafka.clients import make_producer, start_client
from triptych.kit.kafka.consuming.broker import make_broker
from triptych.kit.kafka.consuming.topic_watch import finding_topics, watching_topics
from triptych.kit.kafka.monitor import monitor_kafka
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.kit.kafka.reading.tail import tail
from triptych.kit.kafka.tokens import FileTokens
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.provision import ensure_topics, require_topics

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("secure-links")]


async def use_every_client(settings: KitSettings) -> None:
    """Use each kind of client that the product has."""
    topics = Topics(settings.topic_prefix)
    await ensure_topics(settings, topics.catalogue(PARTITIONS, 1))
    producer, broker = make_producer(settings), make_broker(settings)
    received: list[bytes] = []

    @broker.subscriber(topics.commands, group_id="g", auto_offset_reset="earliest", batch=True)
    async def receive(values: list[bytes]) -> None:
        received.extend(values)

    await start_client(producer, settings)
    try:
        async with (
            tail(settings, [topics.commands]) as following,
            monitor_kafka(settings) as monitor,
            finding_topics(settings, [topics.commands]) as client,
            watching_topics(settings, client, {topics.commands: PARTITIONS}) as watch,
        ):
            await producer.send_and_wait(topics.commands, b"value", b"key")
            assert (await asyncio.wait_for(following.getone(), 10)).value == b"value"
            assert monitor.problem is None
            assert watch.problem is None
            await broker.start()
            await eventually(lambda: asyncio.sleep(0, received), "the consumer has the record")
        offsets = GroupOffsets(settings, topics.commands, "others")
        await offsets.commit({0: 0})
        assert await offsets.committed() == {0: 0}
        await offsets.stop()
    finally:
        await producer.stop()
        await broker.stop()


async def test_every_client_connects_with_a_certificate(links: Links) -> None:
    await use_every_client(settings_of(links.tls()))


async def test_every_client_connects_with_tokens_from_a_token_url(links: Links) -> None:
    async with token_server(links.authority.issue("login")) as server:
        await use_every_client(settings_of(links.token_url(server.url)))
        assert len(server.requests) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_the_other_mechanisms_connect(links: Links, mechanism: str) -> None:
    await require_topics(settings_of(links.sasl(mechanism)), [])


async def test_a_rotated_token_keeps_a_client_connected(
    links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker ends the sessions of tokens, and the clients connect again with the token of that time."""
    path, used = tmp_path / "token", []
    read = FileTokens.token

    async def recorded(tokens: FileTokens) -> str:
        used.append(await read(tokens))
        return used[-1]

    monkeypatch.setattr(FileTokens, "token", recorded)
    path.write_text(token(600))
    settings = settings_of(links.token_file(path))
    topics = Topics(settings.topic_prefix)
    await ensure_topics(settings, topics.catalogue(PARTITIONS, 1))
    producer = make_producer(settings)
    await start_client(producer, settings)
    try:
        async with tail(settings, [topics.commands]) as following:
            rotated = token(1_200)
            path.write_text(rotated)
            began = time.monotonic()
            sent = 0
            while time.monotonic() - began < SESSION_SECONDS + 1 or used.count(rotated) < 2:
                await producer.send_and_wait(topics.commands, b"%d" % sent, partition=0)
                sent += 1
                await asyncio.sleep(0.25)
            values = [(await asyncio.wait_for(following.getone(), 10)).value for _ in range(sent)]
            assert values == [b"%d" % number for number in range(sent)]
    finally:
        await producer.stop()


def written(links: Links, text: str) -> Path:
    path = links.folder / f"token-{uuid.uuid4().hex}"
    path.write_text(text)
    return path


REFUSED: dict[str, tuple[Callable[[Links], Fields], str]] = {
    "strange authority": (
        lambda links: links.tls(kafka_tls_ca_file=links.stranger.file),
        r"certificate of Kafka at .* is not accepted: .* certificate \(TRIPTYCH_KAFKA_TLS_CA_FILE\)",
    ),
    "another host": (
        lambda links: links.tls(kafka_bootstrap=links.kafka.misnamed),
        r"is not accepted: IP address mismatch, certificate is not valid for '127\.0\.0\.1'",
    ),
    "expired certificate": (
        lambda links: links.tls(kafka_bootstrap=links.kafka.expired),
        "is not accepted: certificate has expired",
    ),
    "no client certificate": (
        lambda links: links.tls(kafka_tls_certificate_file=None, kafka_tls_key_file=None),
        r"refuses the TLS connection: .*alert.* \(TRIPTYCH_KAFKA_TLS_CERTIFICATE_FILE",
    ),
    "strange client certificate": (
        lambda links: links.tls(
            kafka_tls_certificate_file=links.stranger.issue("client").both, kafka_tls_key_file=None
        ),
        "refuses the TLS connection: .*alert",
    ),
    "PLAIN": (
        lambda links: links.sasl("PLAIN", kafka_password="hidden"),
        r"refuses the credentials \(TRIPTYCH_KAFKA_USERNAME, TRIPTYCH_KAFKA_PASSWORD\): .*Invalid username or password",
    ),
    "SCRAM": (
        lambda links: links.sasl("SCRAM-SHA-256", kafka_password="hidden"),
        r"refuses the credentials .* invalid credentials with SASL mechanism SCRAM-SHA-256",
    ),
    "unknown user": (
        lambda links: links.sasl("SCRAM-SHA-512", kafka_username="stranger"),
        "refuses the credentials",
    ),
    "another mechanism": (
        lambda links: links.sasl(
            "PLAIN",
            kafka_bootstrap=links.kafka.sasl_plain,
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_tls_ca_file=None,
        ),
        "does not offer TRIPTYCH_KAFKA_SASL_MECHANISM=PLAIN",
    ),
    "a listener without SASL": (
        lambda links: links.sasl(
            "PLAIN",
            kafka_bootstrap=links.kafka.plain,
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_tls_ca_file=None,
        ),
        "does not authenticate by SASL",
    ),
    "long expired token": (
        lambda links: links.token_file(written(links, token(-600))),
        "TRIPTYCH_KAFKA_OAUTH_TOKEN_FILE: .* holds a token that expired at",
    ),
    "just expired token": (
        lambda links: links.token_file(written(links, token(-5))),
        r"refuses the credentials \(TRIPTYCH_KAFKA_OAUTH_TOKEN_FILE\): .*invalid_token",
    ),
    "no token file": (
        lambda links: links.token_file(links.folder / "absent"),
        "TRIPTYCH_KAFKA_OAUTH_TOKEN_FILE: .*absent cannot be read: No such file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_waiting_cannot_resolve_is_refused_in_one_line(
    links: Links, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    fields, words = REFUSED[case]
    with pytest.raises(StartRefused, match=words) as refused:
        await require_topics(settings_of(fields(links)), [])
    assert not isinstance(refused.value, NotYetAvailable)
    assert len(str(refused.value).splitlines()) == 1
    assert "hidden" not in str(refused.value) + caplog.text
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_the_token_url_is_waited_for_but_a_refused_client_is_not(links: Links) -> None:
    async with token_server(links.authority.issue("login")) as server:
        settings = settings_of(links.token_url(server.url))
        server.failure = (401, '{"error":"invalid_client"}')
        with pytest.raises(StartRefused, match=r"refuses the client \(status 401, invalid_client\)") as refused:
            await require_topics(settings, [])
        assert not isinstance(refused.value, NotYetAvailable)
        server.failure = (503, "")
        with pytest.raises(NotYetAvailable, match=r"There is no token for Kafka: .*status 503"):
            await require_topics(settings, [])
        server.failure = None
        await require_topics(settings, [])


async def test_an_absent_server_is_waited_for(links: Links) -> None:
    with pytest.raises(NotYetAvailable, match=r"Kafka does not answer at 127\.0\.0\.1:1 "):
        await require_topics(settings_of(links.sasl("PLAIN", kafka_bootstrap="127.0.0.1:1")), [])
    with pytest.raises(NotYetAvailable, match="has another protocol than TRIPTYCH_KAFKA_SECURITY_PROTOCOL=PLAINTEXT"):
        await require_topics(settings_of({"kafka_bootstrap": links.kafka.sasl}), [])
