"""Provides real Kafka and MongoDB servers, by the means that this machine has."""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from triptych.devstack.addresses import Addresses, Provider
from triptych.devstack.errors import StackUnavailable
from triptych.devstack.ports import require_free
from triptych.devstack.processes import processes_missing, running_processes

__all__ = ["Addresses", "Provider", "ProviderProbes", "StackUnavailable", "choose", "local_stack"]


@dataclass(frozen=True, slots=True)
class ProviderProbes:
    """For each way to run servers, a function that returns what it lacks on this machine. Called only when needed."""

    containers: Callable[[], Sequence[str]]
    processes: Callable[[], Sequence[str]]


def choose(environ: Mapping[str, str], probes: ProviderProbes) -> Provider:
    """Choose where the servers come from: given addresses, otherwise Docker, otherwise child processes.

    `TRIPTYCH_STACK` overrides this order. Raises StackUnavailable if the chosen way is impossible.
    """
    wanted = environ.get("TRIPTYCH_STACK")
    absent = [name for name in ("TRIPTYCH_KAFKA_BOOTSTRAP", "TRIPTYCH_MONGO_URI") if not environ.get(name)]
    match wanted:
        case None | "":
            if len(absent) == 1:
                raise StackUnavailable(
                    f"{absent[0]} is not set, but its counterpart is: set both to use servers of your own, or neither."
                )
            return _choose_by_probing(probes) if absent else Provider.EXTERNAL
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


def _choose_by_probing(probes: ProviderProbes) -> Provider:
    containers = probes.containers()
    if not containers:
        return Provider.CONTAINERS
    processes = probes.processes()
    if not processes:
        return Provider.PROCESSES
    raise StackUnavailable(
        "Kafka and MongoDB cannot be started on this machine. One of three things is needed.\n"
        f"Docker, but{_as_list(containers)}\n"
        f"or Java and mongod, but{_as_list(processes)}\n"
        "or servers of your own: set TRIPTYCH_KAFKA_BOOTSTRAP and TRIPTYCH_MONGO_URI (a replica set)."
    )


def _as_list(lines: Sequence[str]) -> str:
    return "".join(f"\n  * {line}" for line in lines)


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def local_stack(
    *,
    data_dir: Path,
    kafka_port: int | None = None,
    mongo_port: int | None = None,
    keep: bool = True,
    environ: Mapping[str, str] = os.environ,
    say: Callable[[str], None] = _print,
) -> Iterator[Addresses]:
    """Provide servers that are ready for use. Servers that this function has started are stopped at the end.

    A free port replaces None. The next stack on `data_dir` uses the servers' data again; with `keep` false the data is
    removed at the end. `say` is called with lines of progress. Call this function from a thread that lives as long as
    the stack: see `start_child`. Raises StackUnavailable.
    """
    probes = ProviderProbes(containers=lambda: _containers_missing(say), processes=lambda: processes_missing(environ))
    provider = choose(environ, probes)
    if provider is Provider.EXTERNAL:
        yield Addresses(environ["TRIPTYCH_KAFKA_BOOTSTRAP"], environ["TRIPTYCH_MONGO_URI"], provider)
        return
    data_dir = data_dir.resolve()
    with exclusive(data_dir):
        require_free(kafka_port, server="Kafka", setting="TRIPTYCH_KAFKA_PORT")
        require_free(mongo_port, server="MongoDB", setting="TRIPTYCH_MONGO_PORT")
        if provider is Provider.CONTAINERS:
            from triptych.devstack.containers import running_containers

            servers = running_containers(
                data_dir=data_dir, kafka_port=kafka_port, mongo_port=mongo_port, keep=keep, say=say
            )
        else:
            servers = running_processes(
                data_dir=data_dir, kafka_port=kafka_port, mongo_port=mongo_port, keep=keep, environ=environ, say=say
            )
        with servers as addresses:
            yield addresses


def _containers_missing(say: Callable[[str], None]) -> Sequence[str]:
    try:
        # Not at the top: testcontainers belongs to the optional extra `dev`.
        from triptych.devstack.containers import containers_missing
    except ImportError:
        return ["the Python package testcontainers is not installed: pip install -e '.[dev]'"]
    return containers_missing(say)


@contextmanager
def exclusive(data_dir: Path) -> Iterator[None]:
    """Lock the data folder against a second stack. Raises StackUnavailable if there is one."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with data_dir.joinpath("stack.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackUnavailable(f"Another local stack is running on {data_dir}: stop it first.") from None
        yield
