"""One broker of several that accepts connections and answers nothing, like a machine that has stopped."""

import asyncio
import random
import socket
from collections.abc import MutableSequence
from typing import Any

import pytest
from aiokafka.structs import BrokerMetadata

from tests.support.installation import Installation
from triptych.kit.kafka.monitor import ANSWER_SECONDS, make_client
from triptych.kit.process.settings import KitSettings

SILENT = 99


async def test_a_silent_broker_does_not_make_kafka_seem_away(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap = installation.addresses.kafka_bootstrap
    with socket.create_server(("127.0.0.1", 0), backlog=5) as silent:
        client = make_client(installation.settings(KitSettings, kafka_bootstrap=f"{bootstrap},{bootstrap}"))
        await client.bootstrap()
        try:
            port = silent.getsockname()[1]
            client.cluster._brokers[SILENT] = BrokerMetadata(SILENT, "127.0.0.1", port, None)
            monkeypatch.setattr(random, "shuffle", _silent_first)
            async with asyncio.timeout(ANSWER_SECONDS):  # as the monitor asks
                found = await client.ask()
            assert await client.force_metadata_update()
        finally:
            await client.close()
    assert SILENT not in {broker.nodeId for broker in found.brokers()}
    # Of topics it hears nothing, neither then nor when it looks for brokers by itself.
    assert (found.topics(), client.cluster.topics()) == (set(), set())


def _silent_first(nodes: MutableSequence[Any]) -> None:
    nodes.sort(key=lambda node: node != SILENT)  # type: ignore[attr-defined]
