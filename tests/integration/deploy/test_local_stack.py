"""The local stack as its users see it: servers that work, keep their data, and leave nothing behind.

`TRIPTYCH_TEST_STACKS=1` adds the tests that start more stacks; together they take half a minute.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import MongoClient

from tests.support.children import wait_for
from triptych.devstack.cache import cache_dir
from triptych.devstack.jars import jars_dir, kafka_jars
from triptych.devstack.ports import is_free
from triptych.devstack.processes import processes_missing
from triptych.devstack.stack import Addresses, Provider, StackUnavailable, local_stack

pytestmark = pytest.mark.stack

# The tests start and stop servers of their own, never those that the environment names.
OURS = {
    name: value for name, value in os.environ.items() if name not in {"TRIPTYCH_KAFKA_BOOTSTRAP", "TRIPTYCH_MONGO_URI"}
}
PROCESSES = {**OURS, "TRIPTYCH_STACK": "processes"}
DATA = {"kafka", "mongo"}
"""The folders in which servers that run as processes keep their data."""

if os.environ.get("TRIPTYCH_STACK") == "external":
    pytest.skip("TRIPTYCH_STACK=external allows only given servers", allow_module_level=True)


def preferred() -> dict[str, str]:
    """An environment that chooses processes if it can: only they can lose their owner.

    `make test-containers` tests containers.
    """
    is_possible = os.environ.get("TRIPTYCH_STACK") != "containers" and not processes_missing(PROCESSES)
    return PROCESSES if is_possible else OURS


many_stacks = pytest.mark.skipif(
    not os.environ.get("TRIPTYCH_TEST_STACKS"), reason="starts several stacks: set TRIPTYCH_TEST_STACKS=1"
)


async def write(addresses: Addresses, value: bytes) -> None:
    """Write the value to a topic and, in a transaction, to a collection."""
    admin = AIOKafkaAdminClient(bootstrap_servers=addresses.kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("notes", num_partitions=1, replication_factor=1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=addresses.kafka_bootstrap, enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait("notes", value)
    await producer.stop()
    with (
        MongoClient[dict[str, Any]](addresses.mongo_uri) as client,
        client.start_session() as session,
        session.start_transaction(),
    ):
        client.notebook.notes.insert_one({"value": value}, session=session)


async def read(addresses: Addresses) -> tuple[list[bytes], list[bytes]]:
    """Return the values in the topic and in the collection."""
    consumer = AIOKafkaConsumer(bootstrap_servers=addresses.kafka_bootstrap)
    await consumer.start()
    partition = TopicPartition("notes", 0)
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    end = (await consumer.end_offsets([partition]))[partition]
    from_kafka = [(await consumer.getone()).value for _ in range(end)]
    await consumer.stop()
    with MongoClient[dict[str, Any]](addresses.mongo_uri) as client:
        from_mongo = [note["value"] for note in client.notebook.notes.find()]
    return from_kafka, from_mongo


def names_in(folder: Path) -> set[str]:
    return {found.name for found in folder.iterdir()}


@pytest.mark.timeout(150)
def test_data_outlives_a_killed_owner_and_a_restart_and_a_second_stack_is_refused(tmp_path: Path) -> None:
    kept: list[bytes] = []
    environ = preferred()
    if environ is PROCESSES and sys.platform == "linux":
        write_and_kill_the_owner(tmp_path, b"confirmed")
        kept.append(b"confirmed")
    with local_stack(data_dir=tmp_path, environ=environ) as first:
        assert not kept or asyncio.run(read(first)) == (kept, kept)
        asyncio.run(write(first, b"kept"))
        kept.append(b"kept")
        with (
            pytest.raises(StackUnavailable, match="Another local stack is running"),
            local_stack(data_dir=tmp_path, environ=environ),
        ):
            pytest.fail("two stacks share their data")
    with local_stack(data_dir=tmp_path, environ=environ, keep=False) as second:
        assert asyncio.run(read(second)) == (kept, kept)
        assert second.provider is not Provider.PROCESSES or names_in(tmp_path) >= DATA
    if second.provider is Provider.PROCESSES:
        assert not names_in(tmp_path) & DATA  # where another stack would look for it
        return
    with (
        local_stack(data_dir=tmp_path, environ=environ, keep=False) as third,
        MongoClient[Any](third.mongo_uri) as client,
    ):
        assert client.notebook.notes.count_documents({}) == 0


# Runs a stack on the given folder, prints its addresses, then waits to be killed.
OWNER = """
import sys, time
from pathlib import Path
from triptych.devstack.stack import local_stack
with local_stack(data_dir=Path(sys.argv[1])) as addresses:
    print(addresses.kafka_bootstrap, addresses.mongo_uri, flush=True)
    time.sleep(600)
"""


def write_and_kill_the_owner(folder: Path, value: bytes) -> None:
    """Write the value to the servers of another process, and kill that. The servers die with it."""
    command = [sys.executable, "-c", OWNER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=PROCESSES) as owner:
        try:
            assert owner.stdout is not None
            kafka, mongo = owner.stdout.readline().split()
            asyncio.run(write(Addresses(kafka, mongo, Provider.PROCESSES), value))
        finally:
            owner.send_signal(signal.SIGKILL)
    hosts = (kafka, mongo.removeprefix("mongodb://").partition("/")[0])
    wait_for(lambda: all(is_free(int(host.partition(":")[2])) for host in hosts))


@many_stacks
async def test_two_stacks_at_the_same_time_are_independent(tmp_path: Path) -> None:
    with (
        local_stack(data_dir=tmp_path / "a", environ=OURS, keep=False) as a,
        local_stack(data_dir=tmp_path / "b", environ=OURS, keep=False) as b,
    ):
        await write(a, b"a")
        await write(b, b"b")
        assert await read(a) == ([b"a"], [b"a"])
        assert await read(b) == ([b"b"], [b"b"])


@pytest.mark.parametrize(
    ("which", "setting"), [("kafka_port", "TRIPTYCH_KAFKA_PORT"), ("mongo_port", "TRIPTYCH_MONGO_PORT")]
)
def test_a_busy_fixed_port_is_refused_before_anything_starts(tmp_path: Path, which: str, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ports = {which: server.getsockname()[1]}
        with (
            pytest.raises(StackUnavailable, match=rf"Port {ports[which]} .*{setting}="),
            local_stack(data_dir=tmp_path, environ=OURS, **ports),
        ):
            pytest.fail("the port was taken")


def test_addresses_given_are_passed_on(tmp_path: Path) -> None:
    given = {"TRIPTYCH_KAFKA_BOOTSTRAP": "kafka:9092", "TRIPTYCH_MONGO_URI": "mongodb://mongo"}
    with local_stack(data_dir=tmp_path, environ=given) as addresses:
        assert addresses == Addresses("kafka:9092", "mongodb://mongo", Provider.EXTERNAL)


@many_stacks
def test_class_data_archive_is_made_once_and_a_damaged_one_is_no_obstacle(tmp_path: Path) -> None:
    if processes_missing(PROCESSES):
        pytest.skip("this machine cannot run the servers as processes")
    kafka_jars(cache_dir(PROCESSES), PROCESSES, print)
    cache = tmp_path / "cache"
    cache.mkdir()
    jars_dir(cache).symlink_to(jars_dir(cache_dir(PROCESSES)))
    environ = {**PROCESSES, "TRIPTYCH_CACHE": str(cache)}

    with local_stack(data_dir=tmp_path / "data", environ=environ, keep=False):
        assert not list(cache.glob("*.jsa"))
    (archive,) = cache.glob("*.jsa")
    archive.write_bytes(b"damaged")
    with local_stack(data_dir=tmp_path / "data", environ=environ, keep=False) as addresses:
        assert addresses.provider == Provider.PROCESSES
