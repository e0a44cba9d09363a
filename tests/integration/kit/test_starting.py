"""Services that start before their servers and topics wait for them; they exit with 78 if waiting cannot help."""

import os
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.installation import PARTITIONS, Installation
from tests.support.late_port import late_port
from tests.support.plain_http import NO_TLS
from tests.support.servers import Service, service
from tests.support.waiting import eventually
from triptych.contract.topics import Topics
from triptych.devstack.ports import free_ports
from triptych.kit.failures import NotYetAvailable
from triptych.kit.kafka.errors import ANSWER_SECONDS
from triptych.kit.mongo.driver import open_database
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.provision import ensure_topics

SERVICES = ("command", "projector", "webhooks", "gateway")


async def ask(asked: Service, path: str) -> tuple[int, dict[str, Any]]:
    """Status and body of the response; status 0 if nothing listens."""
    async with httpx.AsyncClient(base_url=asked.address, timeout=10, verify=NO_TLS) as client:
        try:
            answer = await client.get(path)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()


async def says(asked: Service, words: str) -> bool:
    """Whether the service is live, and not ready for this reason."""
    status, body = await ask(asked, "/health/ready")
    is_live = status != 0 and (await ask(asked, "/health/live"))[0] == 200
    return is_live and status == 503 and words in body["problems"].get("start", "")


async def test_services_that_start_before_their_servers_wait_for_them(
    installation: Installation, tmp_path: Path
) -> None:
    mongo_address, _, options = installation.addresses.mongo_uri.removeprefix("mongodb://").partition("/?")
    async with late_port(installation.addresses.kafka_bootstrap) as kafka, late_port(mongo_address) as mongo:
        away = {
            "kafka_bootstrap": kafka.address,
            "mongo_uri": f"mongodb://{mongo.address}/?{options}&serverSelectionTimeoutMS=500",
            "local": True,
        }
        with ExitStack() as processes:
            started = [processes.enter_context(service(installation, tmp_path, name, **away)) for name in SERVICES]
            for one in started:
                await eventually(partial(says, one, f"Kafka does not answer at {kafka.address}"), "Kafka is away")
            await kafka.open()
            for one in started:
                await eventually(partial(says, one, "MongoDB does not answer"), "MongoDB is away")
            await mongo.open()
            for one in started:
                await eventually(one.is_ready, "ready", deadline_seconds=60)
            for one in started:
                log = one.child.log.read_text()
                assert log.count("Kafka does not answer") == 1, log
                assert one.child.stop(20) == 0


async def test_a_service_waits_for_topics_and_ends_at_once_on_a_signal(
    installation: Installation, tmp_path: Path
) -> None:
    prefix = f"{installation.name}.later."
    with service(installation, tmp_path, "command", topic_prefix=prefix) as waiting:
        await eventually(lambda: says(waiting, "triptych provision"), "the topics are missing")
        with service(installation, tmp_path, "command", topic_prefix=prefix) as stopped:
            await eventually(lambda: says(stopped, "triptych provision"), "the topics are missing")
            before = time.monotonic()
            assert stopped.child.stop(10) == 0
            assert time.monotonic() - before < ANSWER_SECONDS
        settings = installation.settings(KitSettings, topic_prefix=prefix)
        await ensure_topics(settings, Topics(prefix).catalogue(PARTITIONS, 1))
        await eventually(waiting.is_ready, "ready")


@pytest.mark.parametrize("options", ["w=1", "replicaSet=another"])
async def test_an_address_that_cannot_be_used_ends_the_service(
    installation: Installation, tmp_path: Path, options: str
) -> None:
    host = installation.addresses.mongo_uri.partition("?")[0]
    with service(installation, tmp_path, "projector", mongo_uri=f"{host}?{options}") as refused:

        async def has_ended() -> bool:
            return refused.child.poll() is not None

        await eventually(has_ended, "it ends")
        assert refused.child.poll() == os.EX_CONFIG
        assert "TRIPTYCH_MONGO_URI" in refused.child.log.read_text()


async def test_a_server_that_does_not_answer_is_reported_within_seconds() -> None:
    (port,) = free_ports(1)
    before = time.monotonic()
    with pytest.raises(NotYetAvailable, match="MongoDB does not answer"):
        async with open_database(f"mongodb://127.0.0.1:{port}", "x"):
            pass
    assert time.monotonic() - before < ANSWER_SECONDS + 1
