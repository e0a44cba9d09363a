"""Runs a one-node Apache Kafka (KRaft) as a child process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from triptych.devstack.children import Child, start_child
from triptych.devstack.kafka_folder import KafkaNode, prepare_folder
from triptych.devstack.kafka_java import keep_archive, prepare_java

MAIN = "kafka.Kafka"  # the class of the broker
STARTED = "Kafka Server started"  # the broker logs this once it serves clients
START_SECONDS = 90.0
# Long enough to write the class data archive too.
_STOP_SECONDS = 30.0


@contextmanager
def running_kafka(
    *,
    data: Path,
    logs: Path,
    port: int,
    controller_port: int,
    cache: Path,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    properties: Mapping[str, str] | None = None,
    format_options: Sequence[str] = (),
) -> Iterator[Callable[[], None]]:
    """Run the broker on `port` of the loopback address. Yields a function that waits until the broker is ready.

    A data folder of an earlier run is used again. `properties` of the broker replace those of `kafka_folder`, and
    `format_options` are further options of Kafka's StorageTool, such as users to create. Both this function and the
    yielded one raise StackUnavailable.
    """
    java = prepare_java(cache, environ, say)
    node = KafkaNode(1, port, controller_port)
    configuration = prepare_folder(
        java,
        node,
        (node,),
        data=data,
        log=logs / "kafka-format.log",
        environ=environ,
        properties=properties,
        format_options=format_options,
    )
    recorded = data / "classes.jsa"
    command = java.command(MAIN, configuration, record_to=recorded)
    child = start_child(command, env=environ, log=logs / "kafka.log")
    try:
        yield lambda: child.wait_until(lambda: says_started(child), what="Kafka", timeout=START_SECONDS)
    finally:
        child.stop(_STOP_SECONDS)
        keep_archive(recorded, java.archive)


def says_started(child: Child) -> bool:
    """Whether the broker that runs as `child` has logged that it serves clients."""
    return STARTED.encode() in child.log.read_bytes()
