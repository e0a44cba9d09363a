"""Runs Kafka and MongoDB as child processes of this one, for machines without Docker."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from triptych.devstack.addresses import Addresses, Provider
from triptych.devstack.cache import cache_dir
from triptych.devstack.jars import jars_missing, java_missing
from triptych.devstack.kafka import running_kafka
from triptych.devstack.mongo import REPLICA_SET, mongod_missing, running_mongo
from triptych.devstack.ports import LOOPBACK, free_ports


def processes_missing(environ: Mapping[str, str]) -> Sequence[str]:
    """Return what this machine lacks to run the servers as processes, each with how to get it."""
    lacks = (java_missing(environ), jars_missing(cache_dir(environ), environ), mongod_missing())
    return [lack for lack in lacks if lack is not None]


@contextmanager
def running_processes(
    *,
    data_dir: Path,
    kafka_port: int | None,
    mongo_port: int | None,
    keep: bool,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> Iterator[Addresses]:
    """Run both servers and wait until they are ready. A free port replaces None; see `local_stack` for the arguments.

    The servers' logs are always kept. Raises StackUnavailable.
    """
    spare_ports = free_ports(3)
    kafka_port = kafka_port or spare_ports.pop()
    mongo_port = mongo_port or spare_ports.pop()
    cache, logs = cache_dir(environ), data_dir / "logs"
    kafka_data, mongo_data = data_dir / "kafka", data_dir / "mongo"
    with ExitStack() as stack:
        if not keep:
            for data in (kafka_data, mongo_data):
                stack.callback(shutil.rmtree, data, ignore_errors=True)
        say("starting MongoDB and Kafka")
        # MongoDB starts while Kafka's data folder is formatted and its JVM starts.
        mongo_ready = stack.enter_context(
            running_mongo(data=mongo_data, log=logs / "mongo.log", port=mongo_port, cache=cache)
        )
        kafka_ready = stack.enter_context(
            running_kafka(
                data=kafka_data,
                logs=logs,
                port=kafka_port,
                controller_port=spare_ports.pop(),
                cache=cache,
                environ=environ,
                say=say,
            )
        )
        mongo_ready()
        kafka_ready()
        yield Addresses(
            kafka_bootstrap=f"{LOOPBACK}:{kafka_port}",
            mongo_uri=f"mongodb://{LOOPBACK}:{mongo_port}/?replicaSet={REPLICA_SET}",
            provider=Provider.PROCESSES,
        )
