"""Makes the data folder of a Kafka node (KRaft): its configuration, and the format that it must have."""

import base64
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triptych.devstack.children import start_child
from triptych.devstack.kafka_java import Java
from triptych.devstack.ports import LOOPBACK

# Any 16 bytes in base64. All stacks may have the same id: their brokers never connect to each other.
CLUSTER_ID = "dHJpcHR5Y2gtbG9jYWwtMQ"
_FORMAT_SECONDS = 60.0

# For one node, with quick group joins and no topics created by accident. The containers use them too.
BROKER_SETTINGS: Mapping[str, str] = {
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
}


@dataclass(frozen=True, slots=True)
class KafkaNode:
    """A node that is broker and controller: its number in its cluster, and where it listens on the loopback address."""

    number: int
    port: int
    controller_port: int


def prepare_folder(
    java: Java,
    node: KafkaNode,
    nodes: Sequence[KafkaNode],
    *,
    data: Path,
    log: Path,
    environ: Mapping[str, str],
    properties: Mapping[str, str] | None = None,
    format_options: Sequence[str] = (),
) -> Path:
    """Write the configuration of one of `nodes`, format its folder if that is new, and return the configuration's path.

    `properties` replace those of this module. `format_options` are further options of Kafka's StorageTool, whose output
    goes to `log`. Raises StackUnavailable.
    """
    data.mkdir(parents=True, exist_ok=True)
    configuration = data / "server.properties"
    settings = {**node_properties(node, nodes, data / "records"), **(properties or {})}
    configuration.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    if not data.joinpath("records", "meta.properties").exists():
        _format(java, node, configuration, data / "records", format_options, log, environ)
    return configuration


def node_properties(node: KafkaNode, nodes: Sequence[KafkaNode], records: Path) -> dict[str, str]:
    """Return the properties of a node whose cluster has these `nodes`, with its log folders at `records`."""
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": ",".join(f"{each.number}@{LOOPBACK}:{each.controller_port}" for each in nodes),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{node.port},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(records),
        **BROKER_SETTINGS,
    }


def _format(
    java: Java,
    node: KafkaNode,
    configuration: Path,
    records: Path,
    options: Sequence[str],
    log: Path,
    environ: Mapping[str, str],
) -> None:
    if java.formatted.is_dir() and not options:
        # Like the cluster's id, what the folder has besides the ids of its node may be the same everywhere.
        records.mkdir(exist_ok=True)
        for file in sorted(java.formatted.iterdir()):  # meta.properties last: it says that the folder is complete
            text = file.read_bytes()
            if file.name == "meta.properties":
                text = own_ids(text.decode(), node.number).encode()
            records.joinpath(file.name).write_bytes(text)
        return
    command = java.command("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", configuration, *options)
    child = start_child(command, env=environ, log=log)
    try:
        child.wait_until(lambda: child.poll() == 0, what="Formatting Kafka's data folder", timeout=_FORMAT_SECONDS)
    finally:
        child.stop(timeout=0)
    if not options:  # users of one stack belong to no other
        _keep_formatted(records, java.formatted)


def own_ids(meta: str, number: int) -> str:
    """Return the meta.properties of another node with the id of this node, and a new id of its folder.

    Two folders of one cluster must not have the same id.
    """
    folder = base64.urlsafe_b64encode(b"\x00" + os.urandom(15)).decode().rstrip("=")  # does not begin with a hyphen
    meta = re.sub(r"(?m)^node\.id=.*$", f"node.id={number}", meta)
    return re.sub(r"(?m)^directory\.id=.*$", f"directory.id={folder}", meta)


def _keep_formatted(records: Path, formatted: Path) -> None:
    # Errors are ignored, also that another process has put its folder there: the next start would only be slower.
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=formatted.parent) as scratch:
        shutil.copytree(records, Path(scratch, "records")).rename(formatted)
