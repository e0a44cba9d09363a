"""Real Kafka and MongoDB for `make up`, the tests and the benchmarks, from whatever this machine offers (design 7)."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deploy.local.cache import cache_dir
from deploy.local.errors import StackUnavailable
from deploy.local.jars import jars_missing, java_missing
from deploy.local.kafka import running_kafka
from deploy.local.mongo import REPLICA_SET, mongod_missing, running_mongo
from deploy.local.ports import LOOPBACK, claim

__all__ = ["Addresses", "Probes", "Provider", "StackUnavailable", "choose", "local_stack"]


class Provider(StrEnum):
    """Where the servers come from; the values are those of `TRIPTYCH_STACK`."""

    EXTERNAL = "external"
    CONTAINERS = "containers"
    PROCESSES = "processes"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers listen, and who provides them (a value of Provider)."""

    kafka_bootstrap: str
    mongo_uri: str
    provider: str


@dataclass(frozen=True, slots=True)
class Probes:
    """What each way of running servers lacks on this machine, asked only when it matters; nothing: it can be used."""

    containers: Callable[[], Sequence[str]]
    processes: Callable[[], Sequence[str]]


def choose(environ: Mapping[str, str], probes: Probes) -> Provider:
    """Choose where the servers come from: addresses given, then Docker, then child processes (design 7).

    `TRIPTYCH_STACK` overrides the order. Raises StackUnavailable if the choice is impossible.
    """
    wanted = environ.get("TRIPTYCH_STACK")
    absent = [name for name in ("TRIPTYCH_KAFKA_BOOTSTRAP", "TRIPTYCH_MONGO_URI") if not environ.get(name)]
    match wanted:
        case None | "":
            if len(absent) == 1:
                raise StackUnavailable(
                    f"{absent[0]} is not set, but its companion is: set both to use servers of your own, or none."
                )
            return Provider.EXTERNAL if not absent else _choose_by_probing(probes)
        case Provider.EXTERNAL:
            lacks: Sequence[str] = [f"{name} is not set" for name in absent]
        case Provider.CONTAINERS:
            lacks = probes.containers()
        case Provider.PROCESSES:
            lacks = probes.processes()
        case _:
            raise StackUnavailable(f"TRIPTYCH_STACK={wanted} is not one of {', '.join(Provider)}.")
    if lacks:
        raise StackUnavailable(f"TRIPTYCH_STACK={wanted} is impossible here:{_as_list(lacks)}")
    return Provider(wanted)


def _choose_by_probing(probes: Probes) -> Provider:
    containers = probes.containers()
    if not containers:
        return Provider.CONTAINERS
    processes = probes.processes()
    if not processes:
        return Provider.PROCESSES
    raise StackUnavailable(
        "Kafka and MongoDB cannot be started on this machine. One of three things is needed.\n"
        f"Docker, where{_as_list(containers)}\n"
        f"or Java and mongod, where{_as_list(processes)}\n"
        "or servers of your own: set TRIPTYCH_KAFKA_BOOTSTRAP and TRIPTYCH_MONGO_URI (a replica set)."
    )


def _as_list(lines: Sequence[str]) -> str:
    return "".join(f"\n  * {line}" for line in lines)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def local_stack(
    *,
    data_dir: Path,
    kafka_port: int | None = None,
    mongo_port: int | None = None,
    keep: bool = True,
    environ: Mapping[str, str] = os.environ,
    say: Callable[[str], None] = _say,
) -> Iterator[Addresses]:
    """Provide running servers, ready for use, and stop them at the end, unless they are somebody else's.

    A port of None is a free one. What the servers store in `data_dir` is used again by the next stack there; with
    `keep` false it is removed at the end. `say` gets lines of progress. Call it from a thread that lives as long as
    the stack: see start_child. Raises StackUnavailable.
    """
    probes = Probes(
        containers=lambda: ["the containers are not built yet"],
        processes=lambda: _processes_missing(environ),
    )
    provider = choose(environ, probes)
    if provider is Provider.EXTERNAL:
        yield Addresses(environ["TRIPTYCH_KAFKA_BOOTSTRAP"], environ["TRIPTYCH_MONGO_URI"], provider)
        return
    with _exclusive(data_dir):
        kafka_port = claim(kafka_port, server="Kafka", setting="TRIPTYCH_KAFKA_PORT")
        mongo_port = claim(mongo_port, server="MongoDB", setting="TRIPTYCH_MONGO_PORT")
        with _processes(data_dir, kafka_port, mongo_port, keep, environ, say) as addresses:
            yield addresses


@contextmanager
def _processes(
    data_dir: Path, kafka_port: int, mongo_port: int, keep: bool, environ: Mapping[str, str], say: Callable[[str], None]
) -> Iterator[Addresses]:
    cache, logs = cache_dir(environ), data_dir / "logs"
    kafka_data, mongo_data = data_dir / "kafka", data_dir / "mongo"
    with ExitStack() as stack:
        if not keep:
            for data in (kafka_data, mongo_data):
                stack.callback(shutil.rmtree, data, ignore_errors=True)
        say("starting MongoDB and Kafka")
        # MongoDB comes up while Kafka's data is formatted and its JVM starts.
        mongo_ready = stack.enter_context(
            running_mongo(data=mongo_data, log=logs / "mongo.log", port=mongo_port, cache=cache)
        )
        kafka_ready = stack.enter_context(
            running_kafka(
                data=kafka_data, log=logs / "kafka.log", port=kafka_port, cache=cache, environ=environ, say=say
            )
        )
        mongo_ready()
        kafka_ready()
        yield Addresses(
            kafka_bootstrap=f"{LOOPBACK}:{kafka_port}",
            mongo_uri=f"mongodb://{LOOPBACK}:{mongo_port}/?replicaSet={REPLICA_SET}",
            provider=Provider.PROCESSES,
        )


def _processes_missing(environ: Mapping[str, str]) -> Sequence[str]:
    lacks = (java_missing(environ), jars_missing(cache_dir(environ), environ), mongod_missing())
    return [lack for lack in lacks if lack is not None]


@contextmanager
def _exclusive(data_dir: Path) -> Iterator[None]:
    """Keep a second stack off the same data."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with data_dir.joinpath("stack.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackUnavailable(f"Another local stack is running on {data_dir}: stop it first.") from None
        yield
