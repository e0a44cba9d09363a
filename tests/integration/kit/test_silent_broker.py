"""One broker of several that accepts connections and answers nothing, like a machine that has stopped."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, MutableSequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import BrokerMetadata

from tests.support.faulty_link import faulty_link
from tests.support.installation import Installation
from tests.support.waiting import eventually
from triptych.devstack.ports import LOOPBACK
from triptych.kit.kafka import clients, silent_brokers
from triptych.kit.kafka.monitor import ANSWER_SECONDS, make_client
from triptych.kit.process.settings import KitSettings

SILENT = 99
TIMEOUT_MS = 1_000
QUESTIONS = 40
"""Of this many random choices among two brokers, one would be the silent broker."""


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


@asynccontextmanager
async def clients_of_two_brokers(
    installation: Installation, count: int, timeout_ms: int = TIMEOUT_MS
) -> AsyncIterator[list[AIOKafkaClient]]:
    """Clients that know a broker that answers and one that is silent."""
    assert clients.BATCH_BYTES  # the module has replaced aiokafka's own ways to choose a broker and to connect
    made = [
        AIOKafkaClient(bootstrap_servers=installation.addresses.kafka_bootstrap, request_timeout_ms=timeout_ms)
        for _ in range(count)
    ]
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        try:
            for client in made:
                await client.bootstrap()
                client.cluster._brokers[SILENT] = BrokerMetadata(SILENT, "127.0.0.1", silent.getsockname()[1], None)
            yield made
        finally:
            for client in made:
                await client.close()


async def test_once_one_client_knows_that_a_broker_is_silent_all_ask_others(installation: Installation) -> None:
    async with clients_of_two_brokers(installation, 2) as (first, second):
        assert not await first.ready(SILENT)
        async with asyncio.timeout(TIMEOUT_MS / 1_000):
            for client in (first, second):
                for _ in range(QUESTIONS):
                    with suppress(GroupCoordinatorNotAvailableError):  # an answer of the other broker
                        await client.coordinator_lookup(CoordinationType.GROUP, "a group")
                    assert silent_brokers.get_random_node(client) != SILENT


async def test_metadata_is_asked_of_a_broker_that_answers(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "shuffle", _silent_first)
    async with clients_of_two_brokers(installation, 1) as (client,):
        assert not await client.ready(SILENT)
        async with asyncio.timeout(TIMEOUT_MS / 1_000):
            assert await client.force_metadata_update()


async def test_a_silent_broker_does_not_delay_connections_to_others(installation: Installation) -> None:
    async with clients_of_two_brokers(installation, 1) as (client,):
        silent = asyncio.create_task(client.ready(SILENT))
        await asyncio.sleep(0)
        (other,) = {broker.nodeId for broker in client.cluster.brokers()} - {SILENT}
        assert await client.ready(other)
        assert not silent.done()
        assert not await silent


async def test_a_broker_that_answers_again_is_asked_again(installation: Installation) -> None:
    async with clients_of_two_brokers(installation, 1) as (client,):
        known = next(broker for broker in client.cluster.brokers() if broker.nodeId != SILENT)
        silent_brokers.note_silence(known.host, known.port)
        assert silent_brokers.answering(client) == [SILENT]
        assert (known.host, known.port) in silent_brokers._silence().asked_last
        # What only this broker can answer is sent to it all the same.
        await client.fetch_all_metadata()
        assert await client.ready(known.nodeId)
        assert known.nodeId in silent_brokers.answering(client)
        assert (known.host, known.port) not in silent_brokers._silence().asked_last


async def test_requests_to_a_silent_broker_fail_as_soon_as_others_have_taken_over(installation: Installation) -> None:
    bootstrap = installation.addresses.kafka_bootstrap
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=60_000)
    async with faulty_link("kafka", int(bootstrap.rpartition(":")[2])) as link:
        await client.bootstrap()
        try:
            client.cluster._brokers[SILENT] = BrokerMetadata(SILENT, LOOPBACK, link.port, None)
            assert await client.ready(SILENT)
            async with link.swallowing():
                waiting = asyncio.create_task(client.send(SILENT, MetadataRequest([])))
                # What another client of the process has found out. The other broker does not name the silent one.
                silent_brokers.note_silence(LOOPBACK, link.port)
                async with asyncio.timeout(10 * silent_brokers.LOOK_SECONDS):
                    with pytest.raises(KafkaConnectionError):
                        await waiting
        finally:
            await client.close()


async def test_an_attempt_to_connect_ends_as_soon_as_others_have_taken_over(installation: Installation) -> None:
    async with clients_of_two_brokers(installation, 1, timeout_ms=60_000) as (client,):
        connecting = asyncio.create_task(client.ready(SILENT))
        await asyncio.sleep(0)
        silent = client.cluster.broker_metadata(SILENT)
        silent_brokers.note_silence(silent.host, silent.port)
        async with asyncio.timeout(10 * silent_brokers.LOOK_SECONDS):
            assert not await connecting


async def test_a_client_starts_with_a_broker_that_answers(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap = installation.addresses.kafka_bootstrap
    monkeypatch.setattr(random, "shuffle", lambda _: None)
    with socket.create_server((LOOPBACK, 0), backlog=5) as silent:
        host, port = silent.getsockname()
        silent_brokers.note_silence(host, port)

        async def has_left_the_cluster() -> bool:
            return not silent_brokers._silence().addresses

        await eventually(has_left_the_cluster, "no client knows the silent broker")
        client = AIOKafkaClient(bootstrap_servers=f"{host}:{port},{bootstrap}", request_timeout_ms=60_000)
        try:
            async with asyncio.timeout(10):
                await client.bootstrap()
        finally:
            await client.close()
