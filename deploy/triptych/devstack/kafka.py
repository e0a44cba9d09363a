"""Runs a one-node Apache Kafka (KRaft) as a child process."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from triptych.devstack.children import Child, start_child
from triptych.devstack.errors import StackUnavailable
from triptych.devstack.jars import find_java, java_version, kafka_jars
from triptych.devstack.ports import LOOPBACK

# Any 16 bytes in base64. All stacks may have the same id: their brokers never connect to each other.
CLUSTER_ID = "dHJpcHR5Y2gtbG9jYWwtMQ"
STARTED = "Kafka Server started"  # the broker logs this once it serves clients
_START_SECONDS = 90.0
# Long enough to write the class data archive too.
_STOP_SECONDS = 30.0
_FORMAT_SECONDS = 60.0

# The archive is valid only for a JVM with the same options.
_JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOGGING = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.xml')}"

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
class _Java:
    """How to run a class of Kafka."""

    launcher: Path
    jars: Path
    archive: Path
    formatted: Path
    """An empty data folder as Kafka formats it. Copying it saves the start of a JVM."""

    def command(self, main: str, *args: str | Path, record_to: Path | None = None) -> list[str | Path]:
        """Return the command line. With `record_to`, the run writes a class data archive there when it ends."""
        classes = []
        if self.archive.exists():
            classes = [f"-XX:SharedArchiveFile={self.archive}"]
        elif record_to is not None:
            classes = [f"-XX:ArchiveClassesAtExit={record_to}"]
        return [self.launcher, *_JVM_OPTIONS, *classes, _LOGGING, "-cp", f"{self.jars}/*", main, *args]


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

    A data folder of an earlier run is used again. `properties` of the broker replace those of this module, and
    `format_options` are further options of Kafka's StorageTool, such as users to create. Both this function and the
    yielded one raise StackUnavailable.
    """
    java = _prepare_java(cache, environ, say)
    data.mkdir(parents=True, exist_ok=True)
    configuration = data / "server.properties"
    settings = {**_server_properties(data / "records", port, controller_port=controller_port), **(properties or {})}
    configuration.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    if not data.joinpath("records", "meta.properties").exists():
        _format(java, configuration, data / "records", format_options, logs / "kafka-format.log", environ)

    recorded = data / "classes.jsa"
    command = java.command("kafka.Kafka", configuration, record_to=recorded)
    child = start_child(command, env=environ, log=logs / "kafka.log")
    try:
        yield lambda: child.wait_until(lambda: _says_started(child), what="Kafka", timeout=_START_SECONDS)
    finally:
        child.stop(_STOP_SECONDS)
        _keep_archive(recorded, java.archive)


def _prepare_java(cache: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> _Java:
    launcher = find_java(environ)
    version = java_version(launcher, environ) if launcher else None
    if launcher is None or version is None:
        raise StackUnavailable("There is no working java.")
    jars = kafka_jars(cache, environ, say)
    archive = jars.with_name(f"{jars.name}-java-{version}.jsa")
    return _Java(launcher, jars, archive, formatted=jars.with_name(f"{jars.name}-formatted"))


def _server_properties(records: Path, port: int, *, controller_port: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(records),
        **BROKER_SETTINGS,
    }


def _format(
    java: _Java, configuration: Path, records: Path, options: Sequence[str], log: Path, environ: Mapping[str, str]
) -> None:
    if java.formatted.is_dir() and not options:
        # Like the cluster's id, the folder's own id may be the same everywhere.
        records.mkdir(exist_ok=True)
        for file in sorted(java.formatted.iterdir()):  # meta.properties last: it says that the folder is complete
            shutil.copyfile(file, records / file.name)
        return
    command = java.command("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", configuration, *options)
    child = start_child(command, env=environ, log=log)
    try:
        child.wait_until(lambda: child.poll() == 0, what="Formatting Kafka's data folder", timeout=_FORMAT_SECONDS)
    finally:
        child.stop(timeout=0)
    if not options:  # users of one stack belong to no other
        _keep_formatted(records, java.formatted)


def _says_started(child: Child) -> bool:
    return STARTED.encode() in child.log.read_bytes()


def _keep_archive(recorded: Path, archive: Path) -> None:
    # Errors are ignored: without the archive, the next start is only slower.
    with contextlib.suppress(OSError):
        if recorded.exists() and not archive.exists():
            handle, scratch = tempfile.mkstemp(dir=archive.parent, prefix=f"{archive.name}.")
            os.close(handle)
            shutil.copyfile(recorded, scratch)
            Path(scratch).replace(archive)
        recorded.unlink(missing_ok=True)


def _keep_formatted(records: Path, formatted: Path) -> None:
    # Errors are ignored, also that another process has put its folder there: the next start would only be slower.
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=formatted.parent) as scratch:
        shutil.copytree(records, Path(scratch, "records")).rename(formatted)
