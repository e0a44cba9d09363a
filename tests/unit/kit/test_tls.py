"""Contexts of TLS: unusable files are named, changed files are read again, and lasting errors are told apart."""

import asyncio
import os
import ssl
from pathlib import Path

import pytest

from tests.support.secure.certificates import HOUR, Authority, Pair
from triptych.kit.failures import StartRefused
from triptych.kit.process.tls import TlsFiles, client_context, lasting_tls_error, server_context

V12 = ssl.TLSVersion.TLSv1_2


def served(pair: Pair, password: str | None = None) -> ssl.SSLContext:
    return server_context(TlsFiles("X", certificate=pair.certificate, key=pair.key, password=password), V12)


async def serial_seen(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "127.0.0.1") -> str:
    """Connect once. Returns the serial number of the server's certificate."""
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=host)
        serial: str = writer.get_extra_info("peercert")["serialNumber"]
        writer.close()
        return serial


async def test_a_changed_certificate_serves_new_connections(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = served(authority.issue("server"))
    client = client_context(TlsFiles("X", authority.file))
    first = await serial_seen(server, client)
    assert await serial_seen(server, client) == first
    authority.issue("server")
    second = await serial_seen(server, client)
    assert second != first
    (tmp_path / "server.key").write_text("half written")
    assert await serial_seen(server, client) == second


async def test_a_changed_authority_is_believed_for_new_connections(tmp_path: Path) -> None:
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    believed = tmp_path / "authorities.pem"
    believed.write_bytes(old.file.read_bytes())
    client = client_context(TlsFiles("X", believed))
    server = served(new.issue("server"))
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        await serial_seen(server, client)
    assert lasting_tls_error(refused.value) is refused.value
    believed.write_bytes(new.file.read_bytes())
    assert await serial_seen(server, client)


async def test_names_dates_and_old_versions_are_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client = client_context(TlsFiles("X", authority.file))
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        await serial_seen(served(authority.issue("server")), client, "other.example")
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        await serial_seen(served(authority.issue("late", age=3 * HOUR)), client)
    pair = authority.issue("strict")
    strict = server_context(TlsFiles("X", certificate=pair.both), ssl.TLSVersion.TLSv1_3)
    old = ssl.create_default_context(cafile=authority.file)
    old.maximum_version = V12
    assert await serial_seen(strict, client)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await serial_seen(strict, old)


def test_unusable_files_are_named_with_their_settings(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, locked = authority.issue("server"), authority.issue("locked", password=b"hidden")
    absent = tmp_path / "absent"
    served(locked, "hidden")
    for files, words in (
        (TlsFiles("X", absent), f"X_CA_FILE: {absent} cannot be read: No such file"),
        (TlsFiles("X", pair.key), "holds no certificate"),
        (TlsFiles("X", certificate=absent), "X_CERTIFICATE_FILE: .* cannot be read"),
        (TlsFiles("X", certificate=pair.certificate, key=absent), "X_KEY_FILE: .* cannot be read"),
        (TlsFiles("X", certificate=pair.certificate), "cannot be used together"),
        (TlsFiles("X", certificate=pair.certificate, key=locked.key, password="hidden"), "key values mismatch"),
        (TlsFiles("X", certificate=locked.certificate, key=locked.key), "X_KEY_PASSWORD must be its password"),
        (TlsFiles("X", certificate=locked.certificate, key=locked.key, password="hidden2"), "X_KEY_PASSWORD"),
    ):
        with pytest.raises(StartRefused, match=words) as refused:
            client_context(files)
        assert "hidden" not in f"{refused.value} {files!r}"


@pytest.mark.parametrize(
    ("reason", "is_lasting"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", True),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", True),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", True),
        ("WRONG_VERSION_NUMBER", True),
        ("TLSV1_ALERT_INTERNAL_ERROR", False),
        ("UNEXPECTED_EOF_WHILE_READING", False),
        (None, False),
    ],
)
def test_a_broken_handshake_is_no_lasting_error(reason: str | None, is_lasting: bool) -> None:
    cause = ssl.SSLError(1, "text")
    cause.reason = reason  # type: ignore[assignment]  # it is None in errors of the operating system
    error = ConnectionError("closed")
    error.__cause__ = cause
    assert (lasting_tls_error(error) is cause) == is_lasting
    assert lasting_tls_error(ConnectionResetError(os.strerror(104))) is None
