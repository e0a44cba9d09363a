"""Runs Kafka and MongoDB from their official images, by a Docker engine through testcontainers.

This module is imported only when containers may be used: testcontainers is an optional dependency.
"""

import contextlib
import ipaddress
import logging
import re
import secrets
import shlex
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from docker.errors import DockerException, ImageNotFound, NotFound
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from testcontainers.core.config import ConnectionMode, testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from triptych.devstack.addresses import Addresses, Provider
from triptych.devstack.errors import StackUnavailable
from triptych.devstack.kafka import STARTED
from triptych.devstack.kafka_folder import BROKER_SETTINGS, CLUSTER_ID
from triptych.devstack.mongo import REPLICA_SET, make_primary
from triptych.devstack.ports import LOOPBACK

KAFKA_IMAGE = "apache/kafka:4.1.1"
MONGO_IMAGE = "mongo:7"

_PROBE_SECONDS = 5
_START_SECONDS = 90
_STOP_SECONDS = 20
_KAFKA_PORT = 9092
_MONGO_PORT = 27017

# The address to advertise is known only once the container runs, so the start command waits for a file that has it.
_KAFKA_COMMAND = "until [ -f /tmp/listeners ]; do sleep 0.1; done; . /tmp/listeners; exec /etc/kafka/docker/run"

logging.getLogger("testcontainers").setLevel(logging.WARNING)


def containers_missing(say: Callable[[str], None]) -> Sequence[str]:
    """Return the reasons why containers cannot be used, if any. Pulls the images that the engine lacks."""
    try:
        DockerClient(timeout=_PROBE_SECONDS).client.close()
    except DockerException:
        return ["no Docker engine answers: install or start Docker"]
    images = [KAFKA_IMAGE, MONGO_IMAGE]
    if not testcontainers_config.ryuk_disabled:
        images.append(testcontainers_config.ryuk_image)
    with contextlib.closing(DockerClient().client) as engine:
        for image in (testcontainers_config.hub_image_name_prefix + name for name in images):
            try:
                engine.images.get(image)
            except ImageNotFound:
                say(f"pulling the image {image} (once)")
                try:
                    engine.images.pull(image)
                except DockerException as error:
                    return [f"the engine cannot pull the image {image}: {error}"]
    return []


@contextmanager
def running_containers(
    *, data_dir: Path, kafka_port: int | None, mongo_port: int | None, keep: bool, say: Callable[[str], None]
) -> Iterator[Addresses]:
    """Run both servers and wait until they are ready. The engine chooses a port that is None.

    The servers store their data in named volumes, since this process could not remove their files from `data_dir`. With
    `keep` false the volumes are removed at the end. Raises StackUnavailable.
    """
    volumes = _volume_prefix(data_dir)
    with ExitStack() as stack:
        if not keep:
            stack.callback(_remove_volumes, f"{volumes}-kafka", f"{volumes}-mongo")
        try:
            say("starting MongoDB and Kafka in containers")
            mongo = stack.enter_context(_running(_mongo_container(f"{volumes}-mongo", mongo_port), keep))
            kafka = stack.enter_context(_running(_kafka_container(f"{volumes}-kafka", kafka_port), keep))
            addresses = Addresses(_address(kafka, _KAFKA_PORT), _mongo_uri(mongo), Provider.CONTAINERS)
            _write_listeners(kafka, addresses.kafka_bootstrap)
            _wait_for_primary(addresses.mongo_uri)
            LogMessageWaitStrategy(re.escape(STARTED)).with_startup_timeout(_START_SECONDS).wait_until_ready(kafka)
        except (DockerException, RuntimeError, TimeoutError) as error:
            raise StackUnavailable(
                f"The containers of Kafka and MongoDB did not start: {error}\n"
                "TRIPTYCH_STACK=processes runs them without Docker."
            ) from error
        yield addresses


def _kafka_container(volume: str, port: int | None) -> DockerContainer:
    container = DockerContainer(KAFKA_IMAGE).with_command(["sh", "-c", _KAFKA_COMMAND])
    # Two listeners, because the broker cannot reach itself at the address that its clients use.
    container.with_envs(
        CLUSTER_ID=CLUSTER_ID,
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_LISTENERS=f"HOST://:{_KAFKA_PORT},BROKER://:9094,CONTROLLER://:9093",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="HOST:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        KAFKA_INTER_BROKER_LISTENER_NAME="BROKER",
        KAFKA_LOG_DIRS="/var/lib/kafka/data",
    )
    container.with_envs(**{f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in BROKER_SETTINGS.items()})
    container.with_volume_mapping(volume, "/var/lib/kafka/data", "rw")
    return _publish(container, _KAFKA_PORT, port)


def _mongo_container(volume: str, port: int | None) -> DockerContainer:
    container = DockerContainer(MONGO_IMAGE).with_command(
        ["--replSet", REPLICA_SET, "--bind_ip_all", "--wiredTigerCacheSizeGB", "0.5", "--oplogSize", "512"]
    )
    container.with_volume_mapping(volume, "/data/db", "rw")
    return _publish(container, _MONGO_PORT, port)


def _publish(container: DockerContainer, inside: int, outside: int | None) -> DockerContainer:
    # Published on one address only, because neither server authenticates its clients.
    address = _reached_at(container)
    if address is not None:
        binding = (address,) if outside is None else (address, outside)
        container.ports[str(inside)] = binding  # type: ignore[assignment]  # understood by the Docker client below
    return container


def _reached_at(container: DockerContainer) -> str | None:
    client = container.get_docker_client()
    return published_address(client.get_connection_mode(), client.host, lambda: _bridge_gateway(client))


def _bridge_gateway(client: DockerClient) -> str:
    return gateway_of(client.client.networks.get("bridge").attrs)


def gateway_of(network: Mapping[str, Any]) -> str:
    """Return the address of the engine's machine in a network; `network` is as `docker network inspect` shows it.

    An engine may leave the gateway out. Docker then gives the machine the first address of the subnet.
    """
    config = network["IPAM"]["Config"][0]
    return str(config.get("Gateway") or ipaddress.ip_network(config["Subnet"])[1])


def published_address(mode: ConnectionMode, host: Callable[[], str], gateway: Callable[[], str]) -> str | None:
    """Return the single address to publish ports on; None if the container itself can be reached.

    Args:
        mode: how this process reaches containers. The loopback address does not work inside a container.
        host: returns the name of the engine's machine.
        gateway: returns the address of that machine in the network of its containers.
    """
    match mode:
        case ConnectionMode.bridge_ip:
            return None
        case ConnectionMode.gateway_ip:
            return gateway()
        case ConnectionMode.docker_host:
            return LOOPBACK if host() == "localhost" else socket.gethostbyname(host())


def _address(container: DockerContainer, port: int) -> str:
    host = _reached_at(container) or container.get_container_host_ip()
    return f"{host}:{container.get_exposed_port(port)}"


@contextmanager
def _running(container: DockerContainer, keep: bool) -> Iterator[DockerContainer]:
    with container:
        yield container
        if keep:  # without `keep`, the server need not write its data to disk
            container.get_wrapped_container().stop(timeout=_STOP_SECONDS)


def _write_listeners(kafka: DockerContainer, address: str) -> None:
    setting = f"export KAFKA_ADVERTISED_LISTENERS=HOST://{address},BROKER://localhost:9094"
    kafka.exec(["sh", "-c", f"echo {shlex.quote(setting)} >/tmp/written && mv /tmp/written /tmp/listeners"])


def _mongo_uri(mongo: DockerContainer) -> str:
    # Direct, because the name of the set's only member cannot be resolved outside its container.
    return f"mongodb://{_address(mongo, _MONGO_PORT)}/?directConnection=true"


def _wait_for_primary(uri: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=500, socketTimeoutMS=10_000) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(PyMongoError):  # it does not listen yet, or is changing its state
                if make_primary(client, f"localhost:{_MONGO_PORT}"):
                    return
            time.sleep(0.1)
    raise TimeoutError(f"MongoDB was no writable primary after {_START_SECONDS} s")


def _volume_prefix(data_dir: Path) -> str:
    # Stored in the data folder, so that removing the folder also forgets the volumes.
    file = data_dir / "volumes.txt"
    if not file.exists():
        file.write_text(f"triptych-{secrets.token_hex(6)}")
    return file.read_text().strip()


def _remove_volumes(*names: str) -> None:
    with contextlib.closing(DockerClient().client) as engine:
        for name in names:
            with contextlib.suppress(NotFound):
                engine.volumes.get(name).remove()
