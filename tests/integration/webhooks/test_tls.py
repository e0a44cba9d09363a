"""Certificates of receivers are verified."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.histories import History
from tests.support.kafka import Publish
from tests.support.receiver import open_receiver
from tests.support.relay import Admin, OpenRelay
from triptych.webhooks.store.delivery_documents import DeliveryStatus


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    path = folder / "self-signed.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    return path


async def test_an_unknown_certificate_is_a_failure_and_a_known_one_is_not(
    open_relay: OpenRelay, admin: Admin, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    async with open_receiver(server) as receiver:
        url = receiver.url().replace("http://", "https://")
        listener = await admin.subscribe(url, retryDelays=[])
        async with open_relay():
            await publish(History().create().messages)
            (delivery,) = await admin.until(listener, DeliveryStatus.DEAD)
        assert delivery["log"][0]["failure"] == "tls"
        assert receiver.requests == []

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with open_relay():
            await publish(History().create().messages)
            await admin.until(listener, DeliveryStatus.DELIVERED)
        assert len(receiver.requests) == 1
