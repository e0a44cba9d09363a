"""Certificates of receivers are verified."""

import ssl
from pathlib import Path

import pytest

from tests.support.histories import History
from tests.support.kafka import Publish
from tests.support.receiver import open_receiver
from tests.support.relay import Admin, OpenRelay
from tests.support.self_signed import self_signed
from triptych.webhooks.store.delivery_documents import DeliveryStatus

pytestmark = pytest.mark.only_topics("events", "events.dead-letter")


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
