"""Starts a cluster: a config server, shards of one member each, and the router."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tests.support.cluster.router import CONFIG
from triptych.devstack.children import Child, start_child
from triptych.devstack.mongo import runnable_mongod
from triptych.devstack.ports import LOOPBACK, free_ports

SHARDS = ("a", "b")
_START_SECONDS, _STOP_SECONDS = 60.0, 30.0
_ROOT = Path(__file__).parents[3]


class Cluster(NamedTuple):
    """The address of the router, and the process ids of the config server and the shards."""

    mongo_uri: str
    mongods: tuple[int, ...]


@contextmanager
def running_cluster(directory: Path, cache: Path, shards: Sequence[str] = SHARDS) -> Iterator[Cluster]:
    """A cluster, while the block runs; the data is in `directory`. Raises StackUnavailable."""
    *ports, router_port = free_ports(len(shards) + 2)
    named = dict(zip((CONFIG, *shards), ports, strict=True))
    with ExitStack() as running:
        children = {
            name: _start(running, name, [*_mongod(cache, directory / name, name, port)], directory)
            for name, port in named.items()
        }
        for name, child in children.items():
            _make_primary(child, name, named[name])
        with _client(named[CONFIG]) as config:
            for shard in shards:
                at = f"{shard}/{LOOPBACK}:{named[shard]}"
                adding = [("_configsvrAddShard", at), ("name", shard), ("writeConcern", {"w": "majority"})]
                config.admin.command(dict(adding))
        arguments = [str(router_port), *(f"{name}={port}" for name, port in named.items())]
        command = [sys.executable, "-m", "tests.support.cluster.router", *arguments]
        router = _start(running, "router", command, directory)
        with _client(router_port) as client:
            router.wait_until(lambda: _answers(client), what="the router", timeout=_START_SECONDS)
        mongods = tuple(child.pid for child in children.values())
        yield Cluster(f"mongodb://{LOOPBACK}:{router_port}/", mongods)


def _start(running: ExitStack, name: str, command: Sequence[str | Path], directory: Path) -> Child:
    child = start_child(command, log=directory / f"{name}.log", cwd=_ROOT)
    running.callback(child.stop, _STOP_SECONDS)
    return child


def _mongod(cache: Path, data: Path, name: str, port: int) -> Iterator[str | Path]:
    data.mkdir(parents=True)
    yield runnable_mongod(cache)
    yield from ("--configsvr" if name == CONFIG else "--shardsvr", "--replSet", name, "--dbpath", data)
    yield from ("--bind_ip", LOOPBACK, "--port", str(port), "--nounixsocket")
    yield from ("--wiredTigerCacheSizeGB", "0.3", "--oplogSize", "256")


def _make_primary(child: Child, name: str, port: int) -> None:
    members = [{"_id": 0, "host": f"{LOOPBACK}:{port}"}]
    configuration = {"_id": name, "members": members, **({"configsvr": True} if name == CONFIG else {})}

    def is_primary() -> bool:
        try:
            return bool(client.admin.command("hello")["isWritablePrimary"]) or not _initiate(client, configuration)
        except PyMongoError:
            return False  # it does not listen yet, or is changing its state

    with _client(port) as client:
        child.wait_until(is_primary, what=name, timeout=_START_SECONDS)


def _initiate(client: MongoClient[dict[str, Any]], configuration: dict[str, Any]) -> bool:
    with contextlib.suppress(OperationFailure):  # it was asked before
        client.admin.command("replSetInitiate", configuration)
    return True


def _answers(client: MongoClient[dict[str, Any]]) -> bool:
    try:
        return bool(client.admin.command("hello")["msg"] == "isdbgrid")
    except PyMongoError:
        return False


def _client(port: int) -> MongoClient[dict[str, Any]]:
    return MongoClient(LOOPBACK, port, directConnection=True, serverSelectionTimeoutMS=500, socketTimeoutMS=30_000)
