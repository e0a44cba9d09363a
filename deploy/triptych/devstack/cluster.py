"""Runs a cluster of servers as child processes: three Kafka nodes, and a MongoDB replica set of three members."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from triptych.devstack import kafka
from triptych.devstack.addresses import Addresses, Provider
from triptych.devstack.cache import cache_dir
from triptych.devstack.errors import StackUnavailable
from triptych.devstack.kafka_folder import KafkaNode, prepare_folder
from triptych.devstack.kafka_java import Java, prepare_java
from triptych.devstack.mongo import REPLICA_SET, member_command
from triptych.devstack.parts import Part
from triptych.devstack.ports import LOOPBACK, free_ports
from triptych.devstack.processes import processes_missing
from triptych.devstack.replica_set import ReplicaSet

COUNT = 3
"""Kafka nodes, and members of the replica set: with fewer, no majority would be left when one dies."""
REPLICATION = 3
HEAP = "256m"
MONGO_CACHE_GIGABYTES = "0.25"  # the least that mongod takes

NODE_SETTINGS: Mapping[str, str] = {
    # What Kafka stores for itself survives the death of one node too.
    "default.replication.factor": str(REPLICATION),
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": str(REPLICATION),
    "transaction.state.log.replication.factor": str(REPLICATION),
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": str(REPLICATION),
    "share.coordinator.state.topic.min.isr": "2",
    # A dead broker blocks each partition that it replicates until the controller fences it; the default is 9 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # The default, 128 MB of the heap, is for topics with far more keys.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}
"""Settings of each node besides those of a single one (`kafka_folder`)."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The servers of a cluster: addresses for clients, the nodes of Kafka, and the members of the replica set."""

    addresses: Addresses
    nodes: tuple[Part, ...]
    members: tuple[Part, ...]
    replica_set: ReplicaSet


@contextmanager
def running_cluster(*, data_dir: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> Iterator[Cluster]:
    """Run the servers on free ports, and wait until all of them are ready.

    The cluster begins without data, and its data ends with it; its logs stay in `data_dir`. Call this function from a
    thread that lives as long as the cluster: see `start_child`. Raises StackUnavailable.
    """
    lacks = processes_missing(environ)
    if lacks:
        raise StackUnavailable("".join(["A cluster cannot run here:", *(f"\n  * {lack}" for lack in lacks)]))
    cache, logs, data = cache_dir(environ), data_dir / "logs", data_dir / "data"
    ports = free_ports(3 * COUNT)
    with ExitStack() as stack:
        for folder in (logs, data):  # of the cluster before, which may have been killed
            shutil.rmtree(folder, ignore_errors=True)
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        java = prepare_java(cache, environ, say)
        nodes = [KafkaNode(number, ports.pop(), ports.pop()) for number in range(1, COUNT + 1)]
        brokers = [_broker(java, node, nodes, data, logs, environ) for node in nodes]
        members = [_member(number, ports.pop(), data, logs, cache, environ) for number in range(1, COUNT + 1)]
        say(f"starting {COUNT} MongoDB members and {COUNT} Kafka nodes")
        for part in (*members, *brokers):
            # With the data, nobody needs an orderly end.
            stack.callback(part.stop, 0)
            part.start()
        replica_set = stack.enter_context(ReplicaSet.of([member.port for member in members]))
        members[0].wait_until(lambda _: replica_set.become_ready(), timeout=kafka.START_SECONDS)
        for broker in brokers:
            broker.wait_until(kafka.says_started, timeout=kafka.START_SECONDS)
        yield Cluster(
            Addresses(
                kafka_bootstrap=",".join(f"{LOOPBACK}:{node.port}" for node in nodes),
                mongo_uri=f"mongodb://{','.join(replica_set.hosts)}/?replicaSet={REPLICA_SET}",
                provider=Provider.PROCESSES,
            ),
            tuple(brokers),
            tuple(members),
            replica_set,
        )


def _broker(
    java: Java, node: KafkaNode, nodes: Sequence[KafkaNode], data: Path, logs: Path, environ: Mapping[str, str]
) -> Part:
    name = f"kafka-{node.number}"
    configuration = prepare_folder(
        java,
        node,
        nodes,
        data=data / name,
        log=logs / "kafka-format.log",
        environ=environ,
        properties=NODE_SETTINGS,
    )
    return Part(name, java.command(kafka.MAIN, configuration, heap=HEAP), port=node.port, logs=logs, env=environ)


def _member(number: int, port: int, data: Path, logs: Path, cache: Path, environ: Mapping[str, str]) -> Part:
    name = f"mongo-{number}"
    folder = data / name
    folder.mkdir(parents=True, exist_ok=True)
    command = member_command(data=folder, port=port, cache=cache, cache_gigabytes=MONGO_CACHE_GIGABYTES)
    return Part(name, command, port=port, logs=logs, env=environ)
